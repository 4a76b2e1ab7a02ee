//! What can go wrong, in one table.
//!
//! Whoever meets one of these errors has one line in the kubelet's journal and nothing else. So each
//! error carries a code that never changes its meaning, a cause that names what was tried, and a remedy.
//! The table below is the only place where codes, titles and remedies are written; the page for users
//! (`packaging/doc/errors.md`) is generated from it and a test compares the two.

use std::fmt;
use std::process::ExitCode;

/// What the caller can do about an error; the hundreds of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line is wrong: correct it. The only kind with exit status 2.
    Usage,
    /// The request on stdin is wrong, or is not for us: correct the caller or its configuration.
    Request,
    /// A setting of this node is wrong: correct it, every call fails until then.
    Settings,
    /// No usable AWS identity: provide one.
    Identity,
    /// AWS knows us and says no: change the policy or the key. For ECR Public, pull without a password.
    Denied,
    /// AWS was not reached: the network, a proxy or a certificate. A later try may succeed.
    Unreachable,
    /// AWS, or something in its place, gave an answer that cannot be used.
    Answer,
    /// This machine's clock is wrong.
    Clock,
    /// Something else on this node does not do its part: the service of the kubelet, the container runtime.
    Node,
    /// Our own defect, or stdout is gone.
    Internal,
}

impl Kind {
    /// Whether others who ask AWS for the same now would only meet the same.
    pub(crate) const fn is_met_again(self) -> bool {
        matches!(self, Self::Denied | Self::Unreachable | Self::Answer | Self::Clock)
    }
}

macro_rules! codes {
    ($($number:literal $name:ident $kind:ident $title:literal => $remedy:literal;)*) => {
        /// One kind of failure. The number is stable: scripts and runbooks may match on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, in the order of the numbers.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            const fn entry(self) -> (u16, Kind, &'static str, &'static str) {
                match self {
                    $(Code::$name => ($number, Kind::$kind, $title, $remedy),)*
                }
            }
        }
    };
}

codes! {
    1 Usage Usage "wrong arguments"
        => "run `ecr-credential-provider --help`; as a kubelet plugin it takes no argument, or `get-credentials`";

    100 NotEcr Request "not an ECR registry"
        => "nothing to do if this image needs no ECR password; otherwise correct the host name, or narrow `matchImages`";
    101 RequestUnreadable Request "cannot read the request from stdin"
        => "the caller must write one CredentialProviderRequest to stdin and close it, as the kubelet does";
    102 RequestTooLarge Request "the request is larger than 1 MiB"
        => "a CredentialProviderRequest is a few kilobytes at most; find out what writes to stdin";
    103 RequestMalformed Request "the request is not a valid CredentialProviderRequest"
        => "send one JSON object with the strings `kind`, `apiVersion` and `image`";
    104 RequestKind Request "the request is of another kind"
        => "send `\"kind\": \"CredentialProviderRequest\"`";
    105 RequestVersion Request "the request has an apiVersion that is not known here"
        => "set the provider's `apiVersion` in the CredentialProviderConfig to `credentialprovider.kubelet.k8s.io/v1`, or upgrade this program";
    106 ImageMalformed Request "the image reference is malformed"
        => "use HOST[:PORT]/REPOSITORY[:TAG][@DIGEST] without a scheme";
    107 ServiceAccount Request "roles of service accounts are not supported yet"
        => "upgrade: this version supports them, and does not report this code any more";
    108 HelperForKubelet Request "this is the docker credential helper, and the kubelet calls it"
        => "name the provider `ecr-credential-provider` in the CredentialProviderConfig, and put the binary under that name into the directory of `--image-credential-provider-bin-dir`: `docker-credential-ecr-login` is for docker, podman, skopeo and helm";
    109 ProviderForDocker Request "this is the kubelet's credential provider, and it is called as the docker credential helper"
        => "call it `docker-credential-ecr-login`: make a link of that name to it in a directory of `PATH`, and run `ecr-credential-provider docker configure HOST`, which writes `\"credHelpers\": {\"HOST\": \"ecr-login\"}`; by hand, `ecr-credential-provider docker get` does the same";
    110 NoCredentials Request "no credentials for this server"
        => "nothing to do if it is no registry of ECR; a name of your own in front of ECR needs a rule with `registry` in the settings file";
    111 ServerUrlMissing Request "the server URL is missing"
        => "a client of the credential helper writes it to stdin: `echo HOST | docker-credential-ecr-login get`";
    112 UsernameMissing Request "the user name is missing"
        => "a client of the credential helper writes `{\"ServerURL\": …, \"Username\": …, \"Secret\": …}` to stdin";
    113 HelperCall Request "the docker credential helper is called wrongly"
        => "it takes one verb, `get`, `store`, `erase`, `list` or `version`, and a client that writes to stdin; for people there is `ecr-credential-provider docker --help`";
    114 NotStored Request "this helper keeps no passwords"
        => "make it the helper of ECR alone, by `credHelpers` instead of `credsStore`, and log in to this server again";
    120 ManifestsUnreadable Request "the manifests cannot be read"
        => "name files of YAML or JSON, folders of them, or `-` for stdin";
    121 ManifestsMalformed Request "the manifests are malformed"
        => "correct the place that is named, or see why the command before the pipe wrote nothing";
    122 PullSecretsLeft Request "something is left of rotated pull secrets"
        => "see the report on stdout, and remove it in the order that is given there";

    201 Setting Settings "a setting has an invalid value"
        => "correct it where the kubelet's environment or the `env` of the CredentialProviderConfig sets it";
    202 CaCertificates Settings "the CA certificates cannot be used"
        => "make the variable or file that is named a readable file of PEM certificates";
    203 AwsConfig Settings "the AWS configuration cannot be used"
        => "correct the file, profile or variable that is named";
    204 CacheDirectory Settings "the cache directory cannot be used"
        => "make it a directory of mode 0700 that belongs to the user of the kubelet, or name another in `ECR_CREDENTIAL_PROVIDER_CACHE_DIR`";
    205 SettingsFile Settings "the settings file cannot be used"
        => "correct the place that is named; editors know the keys by `packaging/settings.schema.json`";
    206 Untrusted Settings "others can change or read a file that must be ours alone"
        => "change its mode or owner";
    207 Kubelet Settings "the kubelet would not get a password from us"
        => "correct what is named, then restart the kubelet";
    208 Validation Settings "the configuration has errors"
        => "correct what is named on stdout, then validate again before the kubelet restarts";
    209 NotAsked Settings "no password would come for an image"
        => "add a pattern for it to `matchImages` of the CredentialProviderConfig, or a rule to the settings file";
    220 Output Settings "a file cannot be written"
        => "make its folder writable, or name another one";
    221 OnHost Settings "the node cannot be reached from the container"
        => "run the container privileged, with `hostPID`, and with the node's `/` at the place that is named";
    230 ClientConfig Settings "the configuration of the client cannot be used"
        => "correct the file, or name another by `--config`";
    231 ClientConfigUnwritten Settings "the configuration of the client cannot be written"
        => "see the reason; `--config` names another place";
    232 NothingToConfigure Settings "there is no registry to configure"
        => "name one: `ecr-credential-provider docker configure 571600876202.dkr.ecr.eu-central-1.amazonaws.com`";
    233 OtherHelper Settings "another helper is configured for this registry"
        => "remove it from `credHelpers` if this program is to take its place";

    301 NoIdentity Identity "no AWS identity found"
        => "give the provider one: `AWS_SHARED_CREDENTIALS_FILE` with an absolute path in the `env` of the CredentialProviderConfig is the usual way outside EC2";
    302 IdentitySource Identity "a source of AWS credentials failed"
        => "repair that source, or remove its setting so that the next source is asked";
    303 IdentityMalformed Identity "the AWS credentials are malformed"
        => "copy the access key again, on one line and without quotes";
    304 NoPodRole Identity "no role for the service account of the pod"
        => "annotate the service account with `eks.amazonaws.com/ecr-role-arn`, and list that annotation in `tokenAttributes`";
    305 PodRefused Identity "the settings file does not let the pod pull"
        => "add its service account to `serviceAccount.allow`, or pull with another";
    306 TokenRefused Identity "AWS does not accept the token"
        => "check issuer and audience of the token, and the IAM OIDC provider in the account of the role";
    307 Certificate Identity "the certificate for IAM Roles Anywhere cannot be used"
        => "correct the file that is named in `rolesAnywhere`; without `certificate`, it is the kubelet's own, which is there once the node has joined";

    401 AccessDenied Denied "AWS denies access"
        => "allow the action that is named for this identity (private registries need `ecr:GetAuthorizationToken` on `*`)";
    402 KeyRejected Denied "AWS does not accept the access key"
        => "check that key id and secret belong together, are active, and are of the partition of the registry";
    403 SessionExpired Denied "the AWS session has expired"
        => "renew the session token, or use an identity that renews itself";

    501 NameNotFound Unreachable "the host name cannot be resolved"
        => "check the node's DNS (/etc/resolv.conf) and that this region has this endpoint";
    502 ConnectFailed Unreachable "cannot connect"
        => "open the firewall to this host and port, or set `HTTPS_PROXY` in the `env` of the CredentialProviderConfig";
    503 ConnectionBroken Unreachable "the connection broke"
        => "look for a firewall or proxy that cuts connections to this host, then try again";
    504 NoAnswer Unreachable "no answer in time"
        => "look for a firewall that drops packets to this host; set `HTTPS_PROXY` if the node needs a proxy";
    505 TlsFailed Unreachable "the TLS connection cannot be trusted"
        => "if a proxy inspects TLS here, name its CA certificate in `AWS_CA_BUNDLE`";
    506 ProxyFailed Unreachable "the proxy did not connect us"
        => "check address, user and password of the proxy, and that it allows this host";
    507 DeadlinePassed Unreachable "the deadline passed"
        => "find out why that step is slow; `ECR_CREDENTIAL_PROVIDER_DEADLINE` raises the deadline up to 55s";

    601 Throttled Answer "AWS throttles us"
        => "make fewer calls at a time, or ask AWS to raise the rate of this account";
    602 AwsFailed Answer "AWS failed to answer"
        => "try again; see the AWS health page of this region if it lasts";
    603 NotAws Answer "the answer is not from AWS"
        => "look for a captive portal or proxy that answers in the place of AWS";
    604 NoToken Answer "the answer holds no authorization token"
        => "try again; if it lasts, check `AWS_ENDPOINT_URL` and what answers there";
    605 TokenMalformed Answer "the authorization token cannot be decoded"
        => "try again; if it lasts, check `AWS_ENDPOINT_URL` and what answers there";
    606 TokenExpired Answer "the authorization token has expired already"
        => "try again; if it lasts, check what answers at the endpoint: ECR issues tokens for 12 hours";
    607 Refused Answer "AWS refuses the request"
        => "see the message of AWS";
    608 Pull Answer "the registry does not give the image"
        => "check the image reference, and that the identity may `ecr:BatchGetImage` and `ecr:GetDownloadUrlForLayer` there";
    609 RepositoryNotFound Answer "the repository does not exist"
        => "check the host and the name of the repository";
    610 NoTag Answer "no tag fits"
        => "check the constraint, or see what there is: `aws ecr describe-images`, `skopeo list-tags`";

    701 ClockWrong Clock "AWS finds our clock wrong"
        => "set this machine's clock (`timedatectl`, chrony)";

    801 NotRoot Node "only root can change this node"
        => "run it with sudo";
    802 NodeUnknown Node "it is not known how the kubelet of this node gets its flags"
        => "name the kind of node with `--distribution`, or write the files by hand: see packaging/doc/install.md";
    803 NodeUnclear Node "this node cannot be changed without risk to what is there"
        => "make the change that is named by hand";
    804 InstallBusy Node "another `install` or `uninstall` is running"
        => "wait until it has ended";
    805 NodeUnwritable Node "a file of this node cannot be read or changed"
        => "see the reason";
    806 InstallRefused Node "the kubelet would not start with this"
        => "correct what is named; nothing was restarted, and everything is as it was before";
    807 RolledBack Node "the kubelet was not well afterwards; everything was put back"
        => "see the kubelet's journal for the reason";
    808 RollbackFailed Node "what was changed could not all be put back"
        => "see what is named; `ecr-credential-provider uninstall` tries again";
    809 Edited Node "files were edited after `install`, and are left as they are"
        => "remove our part by hand: it is named";
    810 ServiceManager Node "the service of the kubelet cannot be restarted"
        => "see the reason, then restart it by hand";
    850 RuntimeNotFound Node "no container runtime found"
        => "start it, or name its socket with `--runtime-endpoint unix:///…`";
    851 RuntimeSilent Node "the container runtime does not answer"
        => "look at its journal (`journalctl -u containerd`, or `-u crio`)";
    852 RuntimeDenied Node "the container runtime does not let this user in"
        => "run this as root";
    853 NotCri Node "what listens there does not offer version 1 of CRI"
        => "take `cri` out of `disabled_plugins` in /etc/containerd/config.toml and restart containerd; before 1.6 it lacks this version";
    854 ImageNotFound Node "the registry does not have the image"
        => "check repository and tag";
    855 PullDenied Node "the registry refuses the image"
        => "allow the identity `ecr:BatchGetImage` and `ecr:GetDownloadUrlForLayer` on this repository; `doctor --pull IMAGE` looks closer";
    856 DiskFull Node "the disk of the container runtime is full"
        => "make room where it keeps its images (`df /var/lib/containerd`)";
    857 RegistryUnreachable Node "the container runtime cannot reach the registry"
        => "give the runtime, which is not this program, the node's proxy and CA certificates; `doctor --pull IMAGE` looks closer";
    858 PullFailed Node "the container runtime cannot pull the image"
        => "look at its journal (`journalctl -u containerd`, or `-u crio`)";
    859 PullTimeout Node "the pull takes too long"
        => "run the command again, it goes on with what is missing; `--timeout` and `--total-timeout` raise the limits";
    860 PinFailed Node "the image is not pinned"
        => "update containerd: since 1.7.10, and 1.6.25, it knows pinned images by their label";
    861 ImageList Node "it is not known which images to pull"
        => "name images, or a file with one on each line with `--file`";
    862 Kubeadm Node "kubeadm does not list its images"
        => "install kubeadm, or name the images";
    863 NotAllPulled Node "not all images are pulled"
        => "see the line of each image on stdout; run the command again, it goes on with what is missing";

    901 Internal Internal "internal error"
        => "please report it with this line and the output with `ECR_CREDENTIAL_PROVIDER_LOG=debug`";
    902 ResponseUnwritten Internal "cannot write the response to stdout"
        => "see the reason; if it is a broken pipe, the caller gave up before it read the response";
}

impl Code {
    /// The number of the code, as in `ECRP301`.
    pub const fn number(self) -> u16 {
        self.entry().0
    }

    /// The code of a number; none if there is no such code.
    pub fn of_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }

    /// What the caller can do.
    pub const fn kind(self) -> Kind {
        self.entry().1
    }

    /// What failed, in a few words that are the same at every occurrence.
    pub const fn title(self) -> &'static str {
        self.entry().2
    }

    /// What to do about it when the cause itself says nothing better.
    pub const fn remedy(self) -> &'static str {
        self.entry().3
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ECRP{:03}", self.number())
    }
}

/// A failure as its reader meets it: `ECRP<nnn> <what failed>: <cause>; <remedy>`, always one line.
///
/// The cause names what was tried (a host, a file, a field) and the innermost reason last. It never
/// holds a secret; what is built from foreign text is cleaned where that text enters (`aws::classify`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {}: {cause}; {}", code.title(), self.remedy())]
pub struct Error {
    code: Code,
    cause: String,
    remedy: Option<String>,
}

impl Error {
    /// An error with the remedy of its code.
    pub fn new(code: Code, cause: impl fmt::Display) -> Self {
        Self { code, cause: one_line(&cause.to_string()), remedy: None }
    }

    /// The same error with a remedy that fits this very case.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = Some(one_line(&remedy.to_string()));
        self
    }

    /// The same error with what was being done in front of its cause.
    #[must_use]
    pub fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.cause = one_line(&format!("{what}: {}", self.cause));
        self
    }

    /// The same error by another code.
    #[must_use]
    pub(crate) fn with_code(self, code: Code) -> Self {
        Self { code, ..self }
    }

    /// The same error with more at the end of its cause.
    #[must_use]
    pub(crate) fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.cause = one_line(&format!("{}: {detail}", self.cause));
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What was tried and why it failed, without code, title and remedy.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> &str {
        self.remedy.as_deref().unwrap_or(self.code.remedy())
    }

    /// The remedy, if it is not that of the code.
    pub(crate) fn special_remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// 2 for a wrong command line, 1 for everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self.code.kind() {
            Kind::Usage => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

/// The longest text that an error takes over from elsewhere, in bytes. The kubelet logs the whole line.
const LONGEST: usize = 1000;

/// Folds `text` into one line without control characters, of at most [`LONGEST`] bytes.
pub(crate) fn one_line(text: &str) -> String {
    let printable = text.replace(|c: char| c.is_control(), " ");
    let mut line = printable.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > LONGEST {
        line.truncate(line.floor_char_boundary(LONGEST));
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_and_belong_to_their_kind() {
        for pair in Code::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number(), "{} before {}", pair[0], pair[1]);
        }
        let hundreds = [
            Kind::Usage,
            Kind::Request,
            Kind::Settings,
            Kind::Identity,
            Kind::Denied,
            Kind::Unreachable,
            Kind::Answer,
            Kind::Clock,
            Kind::Node,
        ];
        for code in Code::ALL {
            let expected = hundreds.get(usize::from(code.number() / 100)).unwrap_or(&Kind::Internal);
            assert_eq!(code.kind(), *expected, "{code}");
        }
    }

    #[test]
    fn an_error_is_one_bounded_line_whatever_it_quotes() {
        let error = Error::new(Code::NotAws, format!("a\r\nb\u{1b}[31m\tc{}", "ü".repeat(5000)));
        let text = error.to_string();
        assert!(text.starts_with("ECRP603 the answer is not from AWS: a b [31m cüü"), "{text}");
        assert!(text.len() < LONGEST + 300, "{}", text.len());
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}
