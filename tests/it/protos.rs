//! The checked-in code of the protobufs is what prost-build makes of them.

use std::path::Path;

use snapbox::{assert_data_eq, file};

use crate::plugin::repository_file;

/// `SNAPSHOTS=overwrite cargo test --test it protos` writes it anew.
#[test]
fn the_generated_code_is_of_the_protos() {
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cri/proto");
    let files = protox::compile(["cri.proto", "containerd.proto"], [protos]).expect("protobufs");
    let folder = tempfile::tempdir().expect("a directory");
    prost_build::Config::new()
        .out_dir(folder.path())
        // Its password must not be printed, see src/cri/messages.rs.
        .skip_debug(["runtime.v1.AuthConfig"])
        .compile_fds(files)
        .expect("generated");
    let generated = |name: &str| repository_file(&folder.path().join(name).display().to_string());
    assert_data_eq!(generated("runtime.v1.rs"), file!["../../src/cri/generated/runtime.v1.rs"].raw());
    assert_data_eq!(
        generated("containerd.services.images.v1.rs"),
        file!["../../src/cri/generated/containerd.services.images.v1.rs"].raw()
    );
}
