//! `latest-tag`: the newest image or chart of a repository.

use std::time::Duration;

use serde_json::json;

use crate::aws::Probe;
use crate::context::{Context, within_deadline};
use crate::duration::GoDuration;
use crate::error::{Code, Error};
use crate::host::{self, Host};
use crate::image::ImageReference;
use crate::latest::{self, Constraint, Latest};
use crate::provider::{self, Target};
use crate::records::Record;
use crate::registry::Registry;
use crate::settings::Configuration;

/// Of which repository.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LatestTagCommand {
    /// HOST/REPOSITORY of a private registry, with oci:// in front or without
    repository: String,
    /// The highest version that fits, instead of what was pushed last: ^1.2,
    /// ~1.2.3, 1.x, '>=1.0 <2', '1.2 - 1.4', '<1 || >=2.1', as for Helm
    #[arg(long, value_name = "CONSTRAINT", verbatim_doc_comment)]
    semver: Option<String>,
    /// Print tag, all tags, digest, time and type as JSON
    #[arg(long)]
    json: bool,
    /// How long all of it may take
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    timeout: String,
}

const EXAMPLES: &str = "\
In the place of `aws ecr describe-images --query 'sort_by(imageDetails,&imagePushedAt)[-1].imageTags[0]'`:
  CHART=571600876202.dkr.ecr.eu-central-1.amazonaws.com/softwareimprovementgroup/sigrid-stack
  helm pull oci://$CHART --version \"$(ecr-credential-provider latest-tag $CHART)\"
Signatures, attestations, caches of builds and what has no tag are left out. Of several tags the highest
version is printed or, if none is a version, the first in the order of the alphabet.";

/// Prints the tag.
pub(crate) fn run(host: &Host, record: &Record, command: &LatestTagCommand) -> Result<(), Error> {
    let image = repository(&command.repository)?;
    let limit = duration(&command.timeout)?;
    let constraint: Option<Constraint> = match &command.semver {
        Some(text) => Some(text.parse().map_err(|error| Error::new(Code::Usage, error))?),
        None => None,
    };
    within_deadline(host, record, |configuration, context| {
        let (registry, context) = registry_of(&image, configuration, context)?;
        let context =
            context.lasting_for(limit, "find out why that step is slow; `--timeout` gives it more time");
        let images = Probe::new(&registry, &context)?
            .images(&registry, image.repository())
            .map_err(|error| explained(error, &registry, image.repository()))?;
        let latest = match &constraint {
            Some(constraint) => latest::highest(&images, constraint),
            None => latest::newest(&images),
        };
        let latest = latest.ok_or_else(|| nothing(&image, images.len(), command.semver.as_deref()))?;
        let text = if command.json { as_json(&image, &latest) } else { format!("{}\n", latest.tag) };
        host::write_stdout(text.as_bytes())
    })
}

/// The repository that is meant; a tag would say the answer already.
fn repository(text: &str) -> Result<ImageReference, Error> {
    let wrong = |reason: &str| {
        let cause = format!("`{text}`: {reason}");
        Err(Error::new(Code::Usage, cause)
            .with_remedy("name a repository: HOST/REPOSITORY, without tag and digest"))
    };
    let image = match text.strip_prefix("oci://").unwrap_or(text).parse::<ImageReference>() {
        Ok(image) => image,
        Err(error) => return wrong(&error.to_string()),
    };
    match image.repository() {
        "" => wrong("there is no repository after the host"),
        repository if image.to_string() != format!("{}/{repository}", image.auth_key()) => {
            wrong("it has a tag or digest")
        }
        _ => Ok(image),
    }
}

fn duration(text: &str) -> Result<Duration, Error> {
    let duration = text.parse::<GoDuration>().map(GoDuration::as_std);
    match duration {
        Ok(duration) if duration >= Duration::from_secs(1) => Ok(duration),
        Ok(_) => Err(Error::new(Code::Usage, format!("`--timeout {text}` is less than `1s`"))),
        Err(error) => Err(Error::new(Code::Usage, format!("`--timeout {text}`: {error}"))),
    }
}

fn registry_of<'a>(
    image: &ImageReference,
    configuration: &Configuration,
    context: &Context<'a>,
) -> Result<(Registry, Context<'a>), Error> {
    let choice = configuration.for_image(image);
    let Target { host, registry, settings } = provider::look_up(image, choice, configuration, context);
    let registry = registry.map_err(|reason| {
        Error::new(Code::NotEcr, format!("`{host}` has no list of images that we can ask for: {reason}"))
            .with_remedy("name a repository of a private registry of ECR, or a name in front of one that the settings file has")
    })?;
    if registry.account().is_none() {
        let cause =
            format!("`{host}`: ECR Public tells the times of pushes to the owner of a repository only");
        return Err(Error::new(Code::Usage, cause)
            .with_remedy(format!("list the tags: `skopeo list-tags docker://{image}`")));
    }
    Ok((registry, context.with_settings(settings)?))
}

/// The error with what to do about it here.
fn explained(error: Error, registry: &Registry, repository: &str) -> Error {
    let same = format!(
        "aws ecr describe-images --registry-id {} --region {} --repository-name {repository}",
        registry.account().unwrap_or_default(),
        registry.region()
    );
    match error.code() {
        Code::AccessDenied => error.with_remedy(format!(
            "allow `ecr:DescribeImages` on this repository for this identity, or ask whoever may: `{same}`"
        )),
        Code::RepositoryNotFound => error
            .with_remedy("check the name; to some identities AWS says this of what they may not see, too"),
        _ => error,
    }
}

fn nothing(image: &ImageReference, candidates: usize, constraint: Option<&str>) -> Error {
    let cause = match (candidates, constraint) {
        (0, _) => format!("`{image}` has no image with a tag, leaving out signatures and the like"),
        (_, Some(constraint)) => {
            format!("none of the {candidates} images of `{image}` has a version for `{constraint}`")
        }
        (_, None) => format!("`{image}` has no image with a tag"),
    };
    Error::new(Code::NoTag, cause)
}

fn as_json(image: &ImageReference, latest: &Latest<'_>) -> String {
    let Latest { image: pushed, tag, version } = latest;
    let json = json!({
        "repository": image.to_string(), "tag": tag, "version": version.as_ref().map(ToString::to_string),
        "tags": pushed.tags, "digest": pushed.digest, "artifactType": pushed.artifact_type,
        "pushedAt": pushed.pushed_at.map(|time| time.to_string()),
    });
    format!("{json:#}\n")
}
