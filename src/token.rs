//! The authorization token of ECR: what is in it, and how long it serves.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};

use crate::duration::GoDuration;
use crate::error::{Code, Error};
use crate::secret::Secret;

/// "[The token is valid for 12 hours.][api]" What claims to live longer is not believed.
///
/// [api]: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(12);

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
        if username.is_empty() || password.is_empty() {
            return Err(malformed("user or password is empty"));
        }
        if decoded.contains(char::is_control) {
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

    /// For how long the kubelet may keep the password: half of its life, in whole seconds.
    ///
    /// Half, because a pull that starts at the end of that time must still be able to finish. At most 6
    /// hours; `0s`, which means "do not keep it", if less than two seconds are left.
    pub fn cache_duration(&self) -> GoDuration {
        let life = self.expires_at.duration_since(self.issued_at).min(LONGEST_LIFE);
        GoDuration::from_secs(u64::try_from(life.as_secs() / 2).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        assert_eq!(token.cache_duration().to_string(), "5s");
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

    proptest! {
        /// The promise to the cluster: never null, never negative, always under 12 hours, and over before
        /// the token is.
        #[test]
        fn the_kubelet_never_keeps_a_password_too_long(
            issued_at in -4_000_000_000_i64..8_000_000_000, life in 1..200_000_000_i64,
        ) {
            let token = AuthorizationToken::decode(&encoded("AWS:p"), at(issued_at + life), at(issued_at));
            let kept = token.expect("a token").cache_duration().as_std().as_secs();
            prop_assert!(kept < 12 * 3600);
            prop_assert!(i64::try_from(kept).expect("small") <= life / 2);
        }
    }
}
