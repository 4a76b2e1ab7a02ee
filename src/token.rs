//! The authorization token of ECR: what is in it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::error::{Code, Error};
use crate::secret::Secret;

/// "[The token is valid for 12 hours.][api]" What claims to live longer is not believed.
///
/// [api]: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
const LONGEST_LIFE: Duration = Duration::from_hours(12);

/// A checked token: complete, decoded, and not expired when it was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationToken {
    /// The user name for the registry; `AWS` so far.
    pub username: String,
    /// The registry password.
    pub password: Secret,
    /// When AWS will refuse it.
    pub expires_at: Timestamp,
    /// When AWS issued it, by AWS's clock.
    pub issued_at: Timestamp,
}

impl AuthorizationToken {
    /// Checks an answer of AWS. `encoded` is the base64 text of `user:password`; `issued_at` is the time
    /// of the answer by the same clock as `expires_at`, which is AWS's and not ours.
    pub fn decode(encoded: &Secret, expires_at: Timestamp, issued_at: Timestamp) -> Result<Self, Error> {
        let malformed = |cause| Error::new(Code::TokenMalformed, cause);
        let decoded =
            STANDARD.decode(encoded.expose().trim()).map_err(|_| malformed("it is not base64 text"))?;
        let decoded = String::from_utf8(decoded).map_err(|_| malformed("it is not UTF-8 text"))?;
        let (username, password) = decoded
            .split_once(':')
            .ok_or_else(|| malformed("there is no colon between user and password"))?;
        Self::new(username, password, expires_at, issued_at)
    }

    /// Checks what is known of a token.
    pub fn new(
        username: &str,
        password: &str,
        expires_at: Timestamp,
        issued_at: Timestamp,
    ) -> Result<Self, Error> {
        let malformed = |cause| Error::new(Code::TokenMalformed, cause);
        if username.is_empty() || password.is_empty() {
            return Err(malformed("user or password is empty"));
        }
        if [username, password].iter().any(|text| text.contains(char::is_control)) {
            return Err(malformed("user or password holds control characters"));
        }
        if expires_at <= issued_at {
            return Err(Error::new(
                Code::TokenExpired,
                format!("it was issued at {issued_at:.0} and is valid until {expires_at:.0}"),
            ));
        }
        Ok(Self {
            username: username.to_owned(),
            password: Secret::from(password.to_owned()),
            expires_at,
            issued_at,
        })
    }

    /// How long it lives, by AWS's clock.
    pub fn life(&self) -> Duration {
        let life = self.expires_at.duration_since(self.issued_at);
        Duration::try_from(life).unwrap_or_default().min(LONGEST_LIFE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: impl AsRef<[u8]>) -> Secret {
        Secret::from(STANDARD.encode(text))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn takes_user_and_password_apart_at_the_first_colon() {
        let token = AuthorizationToken::decode(&encoded("AWS:a:b="), at(10), at(0)).expect("a token");
        assert_eq!(token.username, "AWS");
        assert_eq!(token.password.expose(), "a:b=");
        assert_eq!(token.life(), Duration::from_secs(10));
    }

    #[test]
    fn refuses_what_is_incomplete_or_expired() {
        let rows = [
            (Secret::from("%%%".to_owned()), 10, Code::TokenMalformed),
            (encoded(b"AWS:\xff"), 10, Code::TokenMalformed),
            (encoded(""), 10, Code::TokenMalformed),
            (encoded("AWS"), 10, Code::TokenMalformed),
            (encoded("AWS:"), 10, Code::TokenMalformed),
            (encoded(":password"), 10, Code::TokenMalformed),
            (encoded("AWS:pass\nword"), 10, Code::TokenMalformed),
            (encoded("AWS:password"), 0, Code::TokenExpired),
            (encoded("AWS:password"), -100, Code::TokenExpired),
        ];
        for (encoded, expires_at, code) in rows {
            let error = AuthorizationToken::decode(&encoded, at(expires_at), at(0)).expect_err("refused");
            assert_eq!(error.code(), code, "{encoded:?}");
        }
    }

    #[test]
    fn no_life_is_believed_to_be_longer_than_12_hours() {
        for (expires_at, hours) in [(3600, 1), (12 * 3600, 12), (13 * 3600, 12), (8_000_000_000, 12)] {
            let token = AuthorizationToken::decode(&encoded("AWS:p"), at(expires_at), at(0));
            assert_eq!(token.expect("a token").life(), Duration::from_hours(hours));
        }
    }
}
