//! Which images are asked for.

use std::path::Path;

use crate::error::{Code, Error};
use crate::host;

/// Lists are a few kilobytes.
const LARGEST: usize = 1024 * 1024;

/// The images in a file, or on stdin if it is `-`.
pub(crate) fn read(path: &Path) -> Result<Vec<String>, Error> {
    let unreadable = |error: &dyn std::fmt::Display| Error::new(Code::ImageList, error);
    let bytes = if path == Path::new("-") {
        host::read_stdin(LARGEST).map_err(|error| unreadable(&format!("cannot read stdin: {error}")))?
    } else {
        host::read_file(path).map_err(|error| unreadable(&error))?
    };
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| unreadable(&format!("`{}` is not UTF-8 text", path.display())))?;
    Ok(images_in(&text))
}

/// One on each line. What follows a `#` is a comment.
pub(super) fn images_in(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_an_image_on_each_line_and_comments() {
        let text = "# ours\nhost/a:1  # why\n\n  host/b@sha256:00\r\n#host/c\n";
        assert_eq!(images_in(text), ["host/a:1", "host/b@sha256:00"]);
        assert!(images_in("").is_empty());
    }
}
