//! Which proxy a request goes through.
//!
//! The variables are read here, with an empty one counting as not set, and only the one that applies to a
//! request is judged: a node's environment may hold proxies that are meant for other programs.

use std::ffi::OsStr;
use std::fmt;

use aws_smithy_http_client::proxy::ProxyConfig;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use crate::error::{Code, Error};
use crate::secret::Secret;
use crate::settings::{self, ProxySetting, Settings};

/// The name of the setting in the file.
const OF_FILE: &str = "proxy";

/// The proxies of the environment, as curl and Go read them, upper case before lower case.
#[derive(Debug)]
pub(super) struct Proxies {
    https: Option<Proxy>,
    http: Option<Proxy>,
    exceptions: String,
}

/// One of them. The URL may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    /// The setting that names it, for people.
    setting: &'static str,
    url: String,
}

impl Proxies {
    /// `variable` gives the value of an environment variable if there is one and it is not empty.
    pub(super) fn from_environment<'a>(variable: impl Fn(&str) -> Option<&'a OsStr>) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| Some((*name, variable(name)?.to_string_lossy().into_owned())))
        };
        let exceptions = first(&["NO_PROXY", "no_proxy"]).map(|(_, list)| list).unwrap_or_default();
        let proxy = |names: &[&'static str]| {
            let (setting, url) = first(names)?;
            Some(Proxy { setting, url })
        };
        Self {
            https: proxy(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            http: proxy(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
            exceptions,
        }
    }

    /// Those of the settings file and, where it says nothing, of the environment.
    pub(super) fn new<'a>(settings: &Settings, variable: impl Fn(&str) -> Option<&'a OsStr>) -> Self {
        let mut proxies = Self::from_environment(variable);
        if let Some(list) = &settings.no_proxy {
            proxies.exceptions.clone_from(list);
        }
        let of_file = |url: &Secret| Proxy { setting: OF_FILE, url: url.expose().to_owned() };
        match &settings.proxy {
            None => proxies,
            Some(ProxySetting::Direct) => Self { https: None, http: None, ..proxies },
            Some(ProxySetting::Url(url)) => {
                Self { https: Some(of_file(url)), http: Some(of_file(url)), ..proxies }
            }
        }
    }

    /// The proxy for a request. One that cannot be used is an error: the client would ignore it and go
    /// without, and nobody would look there.
    pub(super) fn for_request(&self, uri: &Uri) -> Result<Option<&Proxy>, Error> {
        let proxy = if uri.scheme_str() == Some("https") { &self.https } else { &self.http };
        match proxy {
            Some(proxy) if !self.is_exception(uri) => proxy.checked().map(Some),
            _ => Ok(None),
        }
    }

    fn is_exception(&self, uri: &Uri) -> bool {
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let exceptions = self.exceptions.split(',').filter_map(|entry| for_port(entry.trim(), port));
        let exceptions = exceptions.collect::<Vec<_>>().join(",");
        Matcher::builder().all("http://any.invalid").no(exceptions).build().intercept(uri).is_none()
    }
}

/// What an entry of `NO_PROXY` says about hosts at `port`, in the words of the matcher. Go takes two forms that
/// this does not know, so nodes have them: `host:port`, and `*.suffix`.
fn for_port(entry: &str, port: u16) -> Option<&str> {
    let (host, wanted) = match entry.rsplit_once(':') {
        // More than one colon without brackets is an IPv6 address.
        Some((host, wanted)) if !host.contains(':') || host.ends_with(']') => (host, wanted.parse().ok()),
        _ => (entry, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.starts_with("*.") { &host[1..] } else { host };
    (wanted.is_none() || wanted == Some(port)).then_some(host)
}

impl Proxy {
    fn checked(&self) -> Result<&Self, Error> {
        match (self.uri(), self.config()) {
            (Some(uri), Some(_)) if uri.host().is_some_and(|host| !host.is_empty()) => Ok(self),
            _ => Err(Error::new(
                Code::Setting,
                format!("`{}` is not the URL of an HTTP proxy (`http://HOST:PORT`)", self.setting),
            )),
        }
    }

    fn uri(&self) -> Option<Uri> {
        settings::proxy_uri(&self.url)
    }

    /// Where it is, and what it wants to see before it connects to `uri`; nothing if it is reached by TLS.
    pub(super) fn address_and_authorization(&self, uri: &Uri) -> Option<(Uri, Option<HeaderValue>)> {
        let intercept = Matcher::builder().all(self.uri()?.to_string()).build().intercept(uri)?;
        let address = intercept.uri().clone();
        (address.scheme_str() != Some("https")).then(|| (address, intercept.basic_auth().cloned()))
    }

    /// For the client. `None` if it cannot use this proxy.
    pub(super) fn config(&self) -> Option<ProxyConfig> {
        ProxyConfig::all(self.uri()?).ok()
    }
}

/// Setting, host and port; never user and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.setting)?;
        match self.uri() {
            Some(uri) => write!(f, " (`{}`)", super::http::host_and_port(&uri)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy_for(environment: &[(&str, &str)], uri: &str) -> Result<Option<String>, Code> {
        let proxies = Proxies::from_environment(|asked| {
            let value =
                environment.iter().find(|(name, _)| *name == asked).map(|(_, value)| OsStr::new(*value));
            value.filter(|value| !value.is_empty())
        });
        let proxy = proxies.for_request(&uri.parse().expect("a URI"));
        proxy.map(|proxy| proxy.map(ToString::to_string)).map_err(|error| error.code())
    }

    #[test]
    fn the_proxy_of_a_request() {
        let ecr = "https://api.ecr.eu-central-1.amazonaws.com/";
        let by = |variable: &str| Ok(Some(format!("`{variable}` (`proxy.corp:3128`)")));
        let url = "http://proxy.corp:3128";
        let socks = "socks5://proxy.corp:1080";
        let rows = [
            (vec![], ecr, Ok(None)),
            (vec![("HTTPS_PROXY", url)], ecr, by("HTTPS_PROXY")),
            (vec![("https_proxy", url)], ecr, by("https_proxy")),
            (vec![("HTTPS_PROXY", ""), ("https_proxy", url)], ecr, by("https_proxy")),
            (vec![("ALL_PROXY", url)], ecr, by("ALL_PROXY")),
            (vec![("HTTP_PROXY", url)], ecr, Ok(None)),
            (vec![("HTTP_PROXY", url)], "http://10.0.0.1/", by("HTTP_PROXY")),
            (vec![("HTTPS_PROXY", "proxy.corp:3128")], ecr, by("HTTPS_PROXY")),
            (vec![("HTTPS_PROXY", "http://node:secret@proxy.corp:3128")], ecr, by("HTTPS_PROXY")),
            (vec![("HTTPS_PROXY", url), ("NO_PROXY", ".amazonaws.com")], ecr, Ok(None)),
            (vec![("HTTPS_PROXY", url), ("NO_PROXY", "amazonaws.com")], ecr, Ok(None)),
            (vec![("HTTPS_PROXY", url), ("NO_PROXY", "*")], ecr, Ok(None)),
            (vec![("HTTPS_PROXY", url), ("no_proxy", "10.0.0.0/8")], "https://10.1.2.3/", Ok(None)),
            (vec![("HTTPS_PROXY", url), ("NO_PROXY", "zonaws.com")], ecr, by("HTTPS_PROXY")),
            (vec![("HTTPS_PROXY", url), ("NO_PROXY", "*.amazonaws.com")], ecr, Ok(None)),
            (vec![("HTTPS_PROXY", url), ("NO_PROXY", "a.example, .amazonaws.com:443")], ecr, Ok(None)),
            (vec![("HTTPS_PROXY", url), ("NO_PROXY", ".amazonaws.com:8443")], ecr, by("HTTPS_PROXY")),
            (vec![("HTTPS_PROXY", url), ("NO_PROXY", "10.1.2.3:8443")], "https://10.1.2.3:8443/", Ok(None)),
            (
                vec![("HTTPS_PROXY", url), ("NO_PROXY", "10.1.2.3:8443")],
                "https://10.1.2.3/",
                by("HTTPS_PROXY"),
            ),
            (vec![("HTTPS_PROXY", url), ("NO_PROXY", "2001:db8::/32")], "https://[2001:db8::1]/", Ok(None)),
            (vec![("HTTPS_PROXY", url), ("NO_PROXY", "2001:db8::1")], "https://[2001:db8::1]/", Ok(None)),
            (
                vec![("HTTPS_PROXY", url), ("NO_PROXY", "[2001:db8::1]:443")],
                "https://[2001:db8::1]/",
                Ok(None),
            ),
            // What is not used is not judged.
            (
                vec![("HTTPS_PROXY", url), ("ALL_PROXY", socks), ("HTTP_PROXY", "ftp://x")],
                ecr,
                by("HTTPS_PROXY"),
            ),
            (vec![("ALL_PROXY", socks), ("NO_PROXY", ".amazonaws.com")], ecr, Ok(None)),
            (vec![("HTTPS_PROXY", socks)], ecr, Err(Code::Setting)),
            (vec![("HTTPS_PROXY", "http://")], ecr, Err(Code::Setting)),
            (vec![("HTTPS_PROXY", "http://proxy of corp:3128")], ecr, Err(Code::Setting)),
        ];
        for (environment, uri, expected) in rows {
            assert_eq!(proxy_for(&environment, uri), expected, "{environment:?} {uri}");
        }
    }
}
