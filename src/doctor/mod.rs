//! `doctor`: the way of a pull, step by step, on this node.
//!
//! Each step prints a line, also when an earlier one failed: a node may have more than one thing wrong with it.
//! What AWS is asked, it is asked by the same code as for the kubelet, past the cache.

mod pull;
mod report;

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;

pub(crate) use self::report::Output;
use self::report::Report;
use crate::aws::Probe;
use crate::cache;
use crate::context::{self, Context};
use crate::error::{Code, Error};
use crate::host::Host;
use crate::image::ImageReference;
use crate::node;
use crate::node::finding::{Finding, Weight};
use crate::records::{self, Record};
use crate::registry::Registry;
use crate::settings::{Choice, Configuration};

/// What to look at.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorCommand {
    /// The image that cannot be pulled; without one, the node alone is looked at
    image: Option<String>,
    /// Ask the registry too, as the container runtime does: manifest, and the first layer
    #[arg(long, requires = "image")]
    pull: bool,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Set once this process has the environment that the kubelet would give it
    #[arg(long, hide = true)]
    as_plugin: bool,
    /// Explain an error code, such as ECRP505, and do nothing else
    #[arg(long, value_name = "CODE", conflicts_with_all = ["image", "pull"])]
    explain: Option<String>,
}

/// Looks, and fails with the first thing of which a pull fails.
pub(crate) fn run(host: &Host, record: &Record, command: &DoctorCommand) -> Result<(), Error> {
    match &command.explain {
        Some(code) => explain(code),
        None => examine(host, record, command),
    }
}

fn explain(text: &str) -> Result<(), Error> {
    let number = text.trim_start_matches("ECRP").parse().ok();
    let code = number.and_then(Code::of_number).ok_or_else(|| {
        Error::new(Code::Usage, format!("`{text}` is no code")).with_remedy("see packaging/doc/errors.md")
    })?;
    let explained = format!("{code} {}\n{}\n", code.title(), code.remedy());
    crate::host::write_stdout(explained.as_bytes())
        .map_err(|error| Error::new(Code::ResponseUnwritten, error))
}

fn examine(host: &Host, record: &Record, command: &DoctorCommand) -> Result<(), Error> {
    let mut report = Report::new(command.output, host.stopwatch());
    let image = command.image.as_deref().and_then(|image| {
        let parsed =
            image.parse().map_err(|error| Error::new(Code::ImageMalformed, format!("`{image}`: {error}")));
        report.check::<ImageReference>("image", parsed)
    });
    look_at_kubelet(host, image.as_ref(), command.as_plugin, &mut report);
    let (configuration, context) = read_settings(host, record, &mut report);
    if let Some(image) = &image {
        look_at_image(image, command.pull, &configuration, &context, &mut report);
    } else if command.image.is_none() {
        report.skipped("image", "none was named: identity, network and registry are not looked at");
        look_at_cache(None, &context, &mut report);
    }
    context.watchdog.ends_the_run();
    report.finish()
}

/// The kubelet, its configuration, and what it would run for the image. If it would run a plugin, this process
/// starts anew with the plugin's environment: without HOME, and with what the provider's `env` adds.
fn look_at_kubelet(host: &Host, image: Option<&ImageReference>, is_plugin: bool, report: &mut Report) {
    let root = Path::new("/");
    let Some(asked) = image.cloned().or_else(|| "image.invalid/none".parse().ok()) else { return };
    let provider = node::provider_for(root, &asked);
    if let Some(provider) = provider.as_ref().filter(|_| !is_plugin) {
        let error = host.start_anew(&["--as-plugin"], &provider.env);
        report.note("kubelet", format!("this process does not get the plugin's environment: {error}"));
    }
    for finding in node::inspect(root, &asked, Path::new("/proc/self/exe")) {
        match (&finding, finding.weight()) {
            (Finding::NoMatch { .. }, _) if image.is_none() => {}
            (_, Weight::Fine) => report.good("kubelet", finding.to_string()),
            (_, Weight::Notice) => report.note("kubelet", finding.to_string()),
            (_, Weight::Wrong) => report.bad("kubelet", &Error::new(Code::Kubelet, finding)),
        }
    }
    let names = provider.iter().flat_map(|provider| &provider.env).map(|(name, _)| format!("`{name}`"));
    let names: Vec<_> = names.collect();
    if is_plugin && !names.is_empty() {
        report.good("kubelet", format!("its `env` has {}, which hold below", names.join(", ")));
    }
}

/// What is wrong with the settings is reported, and the rest goes on without them.
fn read_settings<'a>(host: &'a Host, record: &Record, report: &mut Report) -> (Configuration, Context<'a>) {
    let from_environment = Configuration::from_environment(|name| host.variable(name));
    let configuration = report.check("settings", from_environment).unwrap_or_default();
    let context = Context::lasting(LONGEST, host, configuration.defaults(), record);
    match context::read_settings_file(&context) {
        Ok(None) => report.good("settings", "no settings file"),
        Ok(Some((path, text))) => match configuration.with_file(&path, &text) {
            Ok(configuration) => {
                report.good("settings", format!("`{}`", path.display()));
                return (configuration, context);
            }
            Err(error) => report.bad("settings", &error),
        },
        Err(error) => report.bad("settings", &error),
    }
    let fallback = Configuration::from_environment(|name| host.variable(name)).unwrap_or_default();
    (fallback, context)
}

/// How long all steps together may take.
const LONGEST: Duration = Duration::from_mins(2);

fn look_at_image(
    image: &ImageReference,
    pull: bool,
    configuration: &Configuration,
    context: &Context<'_>,
    report: &mut Report,
) {
    let Choice { rule, registry, settings, .. } = configuration.for_image(image);
    match &rule {
        Some(rule) => report.good("settings", format!("{rule} is for this image")),
        None => report.good("settings", "no rule is for this image"),
    }
    let name = registry.as_deref().unwrap_or(image.host());
    let registry = Registry::from_host_in(name, &configuration.partitions());
    let registry =
        registry.map_err(|reason| Error::new(Code::NotEcr, format!("`{name}` gets no password: {reason}")));
    let Some(registry) = report.check("registry", registry) else { return };
    report.good("registry", format!("`{registry}`, password by region {}", registry.region()));
    let Some(context) = report.check("settings", context.with_settings(settings)) else { return };
    look_at_cache(Some(&registry), &context, report);
    look_at_last_result(&registry, &context, report);
    let Some(probe) = report.check("aws", Probe::new(&registry, &context)) else { return };
    let identity = report.check("identity", probe.identity());
    let Some(identity) = identity else {
        report.skipped("aws", "there is no identity to ask it with");
        return;
    };
    report.good("identity", identity.name.clone());
    let answer = probe.ask(&registry, identity);
    look_at_way(&probe, answer.as_ref().err(), report);
    if let Some(token) = report.check("aws", answer) {
        report.good("aws", format!("password valid until {:.0}", token.expires_at));
        if pull {
            pull::look(image, &token, &probe, report);
        }
    }
}

/// Which way the call went, as far as it got.
fn look_at_way(probe: &Probe<'_>, failure: Option<&Error>, report: &mut Report) {
    let way = probe.way();
    if way.endpoint.is_empty() {
        return;
    }
    report.good("network", format!("the API is `{}`, {}", way.endpoint, way.proxy_in_words()));
    if failure.is_some_and(|error| error.code() == Code::NameNotFound) {
        return;
    }
    if !way.addresses.is_empty() {
        report.good("network", format!("its name, or that of the proxy, is {}", way.addresses.join(", ")));
    }
    if let Some(issuer) = probe.issuer() {
        let text = format!("its certificate is issued by `{issuer}`; trusted are {}", probe.trusted());
        if failure.is_some_and(|error| error.code() == Code::TlsFailed) {
            report.note("tls", text);
        } else {
            report.good("tls", text);
        }
    }
    if let Some(skew) = way.skew {
        let by = format!("{:#}", skew.abs());
        match skew {
            skew if skew.abs() <= SignedDuration::from_secs(2) => report.good("clock", "the same as AWS's"),
            skew if skew.is_positive() => report.note("clock", format!("{by} ahead of AWS's")),
            _ => report.note("clock", format!("{by} behind AWS's")),
        }
    }
}

/// What the last call for this registry came to that asked AWS, or failed.
fn look_at_last_result(registry: &Registry, context: &Context<'_>, report: &mut Report) {
    if let Some(last) = records::last::of(registry, context) {
        report.note("last", last.to_string());
    }
}

fn look_at_cache(registry: Option<&Registry>, context: &Context<'_>, report: &mut Report) {
    match cache::describe(registry, context) {
        Ok(text) => report.good("cache", text),
        // No pull fails of it.
        Err(error) => report.note("cache", format!("{error}")),
    }
}
