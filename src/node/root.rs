//! Paths of a node below another root: a folder with the file system of an image, or a made-up one in tests.
//!
//! A link in it is followed as the node will follow it: one to `/var/opt` leads to the folder's `var/opt`, and none
//! leads out of the folder.

use std::path::{Path, PathBuf};

use crate::ownership::{MOST_LINKS, steps_of};

/// Where `path` of the node is for this process. What does not exist is taken as written.
pub(crate) fn within(root: &Path, path: &Path) -> PathBuf {
    if root == Path::new("/") { path.to_owned() } else { on(root, &resolved(root, path)) }
}

/// The path of the node to which `path` leads, without links as far as it exists.
pub(crate) fn resolved(root: &Path, path: &Path) -> PathBuf {
    let mut ahead = steps_of(path);
    let mut place = PathBuf::from("/");
    let mut links = 0;
    while let Some(step) = ahead.pop() {
        if step == ".." {
            place.pop();
            continue;
        }
        let next = place.join(&step);
        match on(root, &next).read_link() {
            Ok(target) if links < MOST_LINKS => {
                links += 1;
                if target.is_absolute() {
                    place = PathBuf::from("/");
                }
                ahead.extend(steps_of(&target));
            }
            _ => place = next,
        }
    }
    place
}

/// `path` below `root`, links or not.
pub(crate) fn on(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::tests::made_up;
    use super::*;

    #[test]
    fn links_stay_below_the_root() {
        let root = made_up(&[("usr/lib/x", ""), ("var/opt/y", "")]);
        let links =
            [("usr/lib", "lib"), ("/var/opt", "opt"), ("../../../../etc", "var/up"), ("loop", "loop")];
        for (target, link) in links {
            symlink(target, root.path().join(link)).unwrap();
        }
        let rows = [
            ("/lib/x", "/usr/lib/x"),
            ("/opt/y", "/var/opt/y"),
            ("/opt/new/z", "/var/opt/new/z"),
            ("/var/up/passwd", "/etc/passwd"),
            ("/../../a", "/a"),
            ("/plain", "/plain"),
        ];
        for (path, expected) in rows {
            assert_eq!(resolved(root.path(), Path::new(path)), Path::new(expected), "{path}");
            assert_eq!(within(root.path(), Path::new(path)), root.path().join(&expected[1..]), "{path}");
        }
        resolved(root.path(), Path::new("/loop"));
    }
}
