//! The kubelet image credential provider for Amazon ECR: the parts that need nothing but their arguments.

pub mod duration;
pub mod error;
pub mod image;
pub mod partition;
pub mod protocol;
pub mod registry;
pub mod secret;
pub mod settings;
pub mod token;
