//! The file that the kubelet runs for a provider.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::layout::NAME;
use super::on;

/// What there is at `<bin dir>/<name>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// Nothing, or nothing that can be looked at. The kubelet ends when it starts.
    Missing,
    /// Something else than a file. The kubelet ends when it starts.
    NotAFile,
    /// A file that nobody may run. The kubelet ends when it starts.
    NotExecutable,
    /// A file on a file system from which nothing may be run. The kubelet ends when it starts.
    OnNoexec,
    /// The very file that runs now.
    ThisProgram,
    /// Another file of the same name: another copy, another version, or the Go provider.
    OtherFile,
    /// A program of another name.
    OtherProgram,
}

/// Looks at the file and, if it can be run, whose it is. `this_program` is a path of the file that runs now, as it
/// is seen from here, so not below `root`.
pub fn look(root: &Path, bin_dir: &Path, name: &str, this_program: &Path) -> Binary {
    let found = match runnable(root, bin_dir, name) {
        Ok(found) => found,
        Err(flaw) => return flaw,
    };
    let ours = this_program.metadata().ok();
    if ours.is_some_and(|ours| is_same(&ours, &found)) {
        return Binary::ThisProgram;
    }
    let our_name = this_program.canonicalize().ok();
    let same_name = our_name.and_then(|path| Some(path.file_name()? == name)).unwrap_or_default();
    if same_name || name == NAME { Binary::OtherFile } else { Binary::OtherProgram }
}

/// What `exec.LookPath` finds, through links; why it finds nothing otherwise.
pub(super) fn runnable(root: &Path, bin_dir: &Path, name: &str) -> Result<Metadata, Binary> {
    let path = on(root, bin_dir.join(name));
    let found = path.metadata().map_err(|_| Binary::Missing)?;
    if !found.is_file() {
        return Err(Binary::NotAFile);
    }
    if found.permissions().mode() & 0o111 == 0 {
        return Err(Binary::NotExecutable);
    }
    if statvfs(&path).is_ok_and(|status| status.f_flag.contains(StatVfsMountFlags::NOEXEC)) {
        return Err(Binary::OnNoexec);
    }
    Ok(found)
}

fn is_same(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(test)]
mod tests {
    use super::super::tests::made_up;
    use super::*;

    #[test]
    fn tells_what_the_kubelet_would_run() {
        let root = made_up(&[
            ("bin/us", ""),
            ("bin/plain", ""),
            ("bin/other", ""),
            ("bin/folder/x", ""),
            ("here/us2", ""),
        ]);
        let path = |name: &str| root.path().join(name);
        for name in ["bin/us", "bin/other", "here/us2"] {
            std::fs::set_permissions(path(name), PermissionsExt::from_mode(0o755)).unwrap();
        }
        std::fs::set_permissions(path("bin/plain"), PermissionsExt::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink("us", path("bin/ecr-credential-provider-2")).unwrap();
        std::fs::copy(path("bin/other"), path("bin/ecr-credential-provider")).unwrap();
        std::fs::copy(path("bin/other"), path("bin/us2")).unwrap();
        let rows = [
            ("none", "bin/us", Binary::Missing),
            ("folder", "bin/us", Binary::NotAFile),
            ("plain", "bin/us", Binary::NotExecutable),
            ("us", "bin/us", Binary::ThisProgram),
            ("ecr-credential-provider-2", "bin/us", Binary::ThisProgram),
            ("ecr-credential-provider", "bin/us", Binary::OtherFile),
            ("us2", "here/us2", Binary::OtherFile),
            ("other", "bin/us", Binary::OtherProgram),
            ("other", "gone", Binary::OtherProgram),
        ];
        for (name, us, expected) in rows {
            assert_eq!(look(root.path(), Path::new("/bin"), name, &path(us)), expected, "{name}");
        }
    }
}
