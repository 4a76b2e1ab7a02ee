//! Text that must not be seen.

use std::fmt;

/// A password, token or key. It cannot be printed: `Debug` says only that it is there.
///
/// ```
/// let secret = ecr_credential_provider::secret::Secret::from("hunter2".to_owned());
/// assert_eq!(format!("{secret:?}"), "[redacted]");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself. A call of this is a place where a secret leaves: the response, and the
    /// comparison that keeps secrets out of error texts. A test lists the files that may call it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
