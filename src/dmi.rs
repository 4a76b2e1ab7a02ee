//! Whether this machine is an EC2 instance.

use std::path::Path;

use crate::host;

/// Where the kernel shows the firmware's description of the machine; readable without privileges.
const DMI: &str = "sys/class/dmi/id";
const FIELDS: [&str; 3] = ["sys_vendor", "board_vendor", "bios_vendor"];
const EC2: &str = "Amazon EC2";

/// Asks the machine's firmware, as [AWS documents it]; no network is touched. `root` is `/`.
///
/// Xen instances, of the generations before 2018, say it in the version of their BIOS or in the
/// hypervisor's UUID. A virtual machine elsewhere that copies these texts would be taken for EC2.
///
/// [AWS documents it]: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html
pub(crate) fn is_ec2(root: &Path) -> bool {
    let read = |path: &str| {
        let bytes = host::read_file(&root.join(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    };
    FIELDS.iter().any(|field| read(&format!("{DMI}/{field}")) == EC2)
        || read(&format!("{DMI}/bios_version")).ends_with(".amazon")
        || read("sys/hypervisor/uuid").starts_with("ec2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_ec2_by_its_firmware() {
        let rows = [
            (vec![("sys/class/dmi/id/sys_vendor", "Amazon EC2\n")], true),
            (vec![("sys/class/dmi/id/board_vendor", "Amazon EC2\n")], true),
            (vec![("sys/class/dmi/id/bios_version", "4.11.amazon\n")], true),
            (vec![("sys/hypervisor/uuid", "ec2e1916-9099-7caf-fd21-012345abcdef\n")], true),
            (vec![("sys/class/dmi/id/sys_vendor", "QEMU\n"), ("sys/hypervisor/uuid", "a0ec2000\n")], false),
            (vec![("sys/class/dmi/id/sys_vendor", "Amazon EC2 clone\n")], false),
            (vec![], false),
        ];
        for (files, expected) in rows {
            let root = tempfile::tempdir().expect("a directory");
            for (path, text) in &files {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().expect("has a parent")).expect("create");
                std::fs::write(path, text).expect("write");
            }
            assert_eq!(is_ec2(root.path()), expected, "{files:?}");
        }
    }
}
