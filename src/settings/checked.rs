//! Texts of the settings file with a meaning that is checked when the file is read, so that a mistake has a line
//! and a column.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A type for such texts: what is in it, and the check.
macro_rules! checked_text {
    ($(#[$outer:meta])* $name:ident($type:ty) = $check:expr) => {
        $(#[$outer])*
        #[derive(Clone, Debug, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(try_from = "String")]
        pub(super) struct $name(#[cfg_attr(test, schemars(with = "String"))] pub(super) $type);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let check: fn(String) -> Result<$type, String> = $check;
                check(text).map(Self)
            }
        }
    };
}

pub(super) use checked_text;

checked_text! {
    AbsolutePath(PathBuf) = |text| match Path::new(&text) {
        path if path.is_absolute() => Ok(path.to_owned()),
        _ => Err("this is not an absolute path".into()),
    }
}
