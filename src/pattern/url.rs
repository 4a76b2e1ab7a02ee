//! A pattern as a URL without scheme, by the rules of Go's `net/url`.

use std::net::Ipv6Addr;

/// The parts that count for the kubelet.
pub(super) struct Url<'a> {
    /// With the brackets of an IPv6 address only if there is no port.
    pub(super) host: &'a str,
    pub(super) port: Option<&'a str>,
    /// With its escapes resolved, which need not leave UTF-8.
    pub(super) path: Vec<u8>,
}

impl<'a> Url<'a> {
    /// `ParseSchemelessURL` and `SplitURL` of the kubelet.
    pub(super) fn parse(text: &'a str) -> Result<Self, PatternError> {
        let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
        if url.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(PatternError::ControlCharacter);
        }
        let url = url.split_once('?').map_or(url, |(url, _)| url);
        let (authority, path) = url.split_at(url.find('/').unwrap_or(url.len()));
        let authority = match authority.rsplit_once('@') {
            Some((user, authority)) => check_user(user).map(|()| authority)?,
            None => authority,
        };
        let (host, port) = split_port(authority)?;
        unescape(fragment, |_| true)?;
        let path = unescape(path, |_| true)?;
        Ok(Self { host, port: port.filter(|port| !port.is_empty()), path })
    }
}

/// Why the kubelet refuses a pattern, and ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A control character.
    #[error("it has a control character")]
    ControlCharacter,
    /// Not digits.
    #[error("`{0}` is not a port: it must be digits, without wildcard")]
    Port(String),
    /// `[` elsewhere than around an IPv6 address.
    #[error("`[` is for IPv6 addresses only, there are no classes of characters")]
    Bracket,
    /// A character that a host name cannot have in a URL.
    #[error("`{0}` cannot stand in a host name")]
    HostCharacter(char),
    /// A character that cannot stand before `@`.
    #[error("`{0}` cannot stand before `@`")]
    UserCharacter(char),
    /// `%` without two hexadecimal digits, or with some that are not allowed there.
    #[error("`{0}` is not a valid escape")]
    Escape(String),
}

/// `parseHost` of `net/url`, then `net.SplitHostPort`. Escapes stay as they are: those that are allowed stand
/// for characters that the host name of an image cannot have.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), PatternError> {
    if authority.contains('[') {
        return split_address(authority);
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    check_port(port)?;
    check_host(host)?;
    unescape(host, |byte| !byte.is_ascii() || byte == b'%')?;
    Ok((host, port))
}

/// `[address]`, which keeps its brackets, or `[address]:port`.
fn split_address(authority: &str) -> Result<(&str, Option<&str>), PatternError> {
    let (inner, rest) = authority
        .strip_prefix('[')
        .filter(|inner| !inner.contains('['))
        .and_then(|inner| inner.rsplit_once(']'))
        .ok_or(PatternError::Bracket)?;
    check_address(inner)?;
    let port = rest.strip_prefix(':');
    if port.is_none() && !rest.is_empty() {
        return Err(PatternError::Port(rest.to_owned()));
    }
    check_port(port)?;
    Ok((if port.is_some() { inner } else { authority }, port))
}

fn check_address(address: &str) -> Result<(), PatternError> {
    let (address, zone) = match address.split_once("%25") {
        Some((address, zone)) => (address, Some(zone)),
        None => (address, None),
    };
    if zone == Some("") || address.parse::<Ipv6Addr>().is_err() {
        return Err(PatternError::Bracket);
    }
    let zone = zone.unwrap_or_default();
    check_host(zone)?;
    unescape(zone, |byte| matches!(byte, b'%' | b' ') || is_host_byte(byte)).map(drop)
}

fn check_port(port: Option<&str>) -> Result<(), PatternError> {
    match port {
        Some(port) if !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(PatternError::Port(port.to_owned()))
        }
        _ => Ok(()),
    }
}

fn check_host(host: &str) -> Result<(), PatternError> {
    let allowed = |c: char| !c.is_ascii() || c == '%' || u8::try_from(c).is_ok_and(is_host_byte);
    host.chars().find(|&c| !allowed(c)).map_or(Ok(()), |c| Err(PatternError::HostCharacter(c)))
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!\"$&'()*+,-.:;<=>[]_~".contains(&byte)
}

fn check_user(user: &str) -> Result<(), PatternError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if let Some(c) = user.chars().find(|&c| !allowed(c)) {
        return Err(PatternError::UserCharacter(c));
    }
    unescape(user, |_| true).map(drop)
}

/// Resolves `%XX`, where the byte that it stands for is one of those `allowed`.
fn unescape(text: &str, allowed: impl Fn(u8) -> bool) -> Result<Vec<u8>, PatternError> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let digits = rest.by_ref().take(2).collect::<Vec<_>>();
        let value =
            std::str::from_utf8(&digits).ok().filter(|digits| digits.len() == 2).and_then(hexadecimal);
        match value {
            Some(value) if allowed(value) => plain.push(value),
            _ => return Err(PatternError::Escape(format!("%{}", String::from_utf8_lossy(&digits)))),
        }
    }
    Ok(plain)
}

/// `from_str_radix` alone would take a sign.
fn hexadecimal(digits: &str) -> Option<u8> {
    let valid = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}
