//! The messages of `src/cri/proto` are those that the projects publish.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use prost_types::{DescriptorProto, FileDescriptorSet};

use crate::node::Node;

/// Messages that have another name at home: they are in files that ours leaves out.
const ELSEWHERE: [(&str, &str); 2] = [("Descriptor", "containerd.types"), ("FieldMask", "google.protobuf")];

/// Every field of ours has the same name, number, type and label there.
pub(crate) fn are_the_published_ones(node: &mut Node) -> Result<()> {
    let published = node.tool("protos");
    for (ours, theirs) in
        [("cri.proto", "cri/api.proto"), ("containerd.proto", "containerd/services/images/v1/images.proto")]
    {
        let ours = compile(ours, &node.repository().join("src/cri/proto"))?;
        let (folder, file) = theirs.split_once('/').context("a folder")?;
        let theirs = compile(file, &published.join(folder))?;
        let messages =
            ours.file.iter().flat_map(|file| file.message_type.iter().map(move |it| (file.package(), it)));
        for (package, message) in messages {
            let home = ELSEWHERE.iter().find(|(name, _)| *name == message.name());
            let package = home.map_or(package, |(_, package)| package);
            compare(message, find(&theirs, package, message.name())?)?;
        }
    }
    Ok(())
}

fn compile(file: &str, folder: &Path) -> Result<FileDescriptorSet> {
    protox::compile([file], [folder]).with_context(|| format!("compiling {file}"))
}

fn find<'a>(files: &'a FileDescriptorSet, package: &str, name: &str) -> Result<&'a DescriptorProto> {
    let mut messages =
        files.file.iter().filter(|file| file.package() == package).flat_map(|file| &file.message_type);
    messages.find(|message| message.name() == name).with_context(|| format!("no message {package}.{name}"))
}

fn compare(ours: &DescriptorProto, theirs: &DescriptorProto) -> Result<()> {
    for field in &ours.field {
        let found = theirs.field.iter().find(|other| other.name() == field.name());
        let found = found.with_context(|| format!("no field {} of {}", field.name(), ours.name()))?;
        let same = found.number() == field.number()
            && found.r#type() == field.r#type()
            && found.label() == field.label();
        ensure!(same, "{} of {} is {found:?}", field.name(), ours.name());
    }
    Ok(())
}
