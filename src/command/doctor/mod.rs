//! `doctor`: the way of a pull, step by step, on this node.
//!
//! Each step prints a line, also when an earlier one failed: a node may have more than one thing wrong with it.
//! What AWS is asked, it is asked by the same code as for the kubelet, past the cache.

mod certificate;
mod pod;
mod pull;
mod report;

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;

use self::pod::Pod;
pub(crate) use self::report::Output;
use self::report::Report;
use crate::aws::{Identity, Probe};
use crate::cache;
use crate::context::{self, Context};
use crate::error::{Code, Error};
use crate::host::Host;
use crate::image::ImageReference;
use crate::node::config::TokenAttributes;
use crate::node::finding::{Finding, Weight};
use crate::node::version::Version;
use crate::node::{self, Plugin};
use crate::provider;
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
    #[command(flatten)]
    pod: Pod,
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
}

fn examine(host: &Host, record: &Record, command: &DoctorCommand) -> Result<(), Error> {
    let mut report = Report::new(command.output, host.stopwatch());
    let from_environment = Configuration::from_environment(|name| host.variable(name));
    let settings = from_environment.as_ref().map(Configuration::defaults);
    let settings = settings.unwrap_or_else(|_| Configuration::default().defaults());
    let context = Context::lasting(LONGEST, host, settings, record);
    let image = command.image.as_deref().and_then(|image| {
        let parsed = image.parse();
        let parsed = parsed.map_err(|error| Error::new(Code::ImageMalformed, format!("`{image}`: {error}")));
        report.check::<ImageReference>("image", parsed)
    });
    let attributes = look_at_kubelet(image.as_ref(), command.as_plugin, &context, &mut report);
    let configuration = report.check("settings", from_environment).unwrap_or_default();
    let configuration = read_settings(configuration, &context, &mut report);
    if let Some(image) = &image {
        let choice = configuration.for_image(image);
        pod::look_at_attributes(attributes.as_ref(), &choice.settings.pod, &mut report);
        look_at_image(image, choice, command, &configuration, &context, &mut report);
    } else if command.image.is_none() {
        report.skipped("image", "none was named: identity, network and registry are not looked at");
        if let Some(context) = report.check("settings", context.with_settings(configuration.defaults())) {
            look_at_cache(None, &context, &mut report);
        }
    }
    context.watchdog.ends_the_run();
    report.finish()
}

/// The kubelet, its configuration, and what it would run for the image. If that is this program, it starts anew
/// with the environment that the kubelet would give it.
fn look_at_kubelet(
    image: Option<&ImageReference>,
    is_plugin: bool,
    context: &Context<'_>,
    report: &mut Report,
) -> Option<TokenAttributes> {
    context.watchdog.enter("looking at the kubelet");
    let (root, this_program) = (Path::new("/"), Path::new("/proc/self/exe"));
    let asked = image.cloned().or_else(|| "image.invalid/none".parse().ok())?;
    let plugin = node::plugin_for(root, &asked, this_program);
    if let Some(plugin) = plugin.as_ref().filter(|_| !is_plugin) {
        let environment = plugin.environment.iter().flatten().chain(&plugin.provider.env);
        let error = context.host.start_anew("--as-plugin", environment);
        report.note("kubelet", format!("this process does not get the plugin's environment: {error}"));
    }
    let version = node::kubelet::version().unwrap_or(Version::NEWEST);
    for finding in node::inspect(root, &asked, version, this_program) {
        match (&finding, finding.weight()) {
            (Finding::NoMatch { .. }, _) if image.is_none() => {}
            (Finding::Problem(problem), Weight::Wrong) => {
                let error = Error::new(Code::Kubelet, problem).with_remedy(problem.fault.remedy());
                report.bad("kubelet", &error);
            }
            (_, Weight::Fine) => report.good("kubelet", finding.to_string()),
            (_, Weight::Notice) => report.note("kubelet", finding.to_string()),
            (_, Weight::Wrong) => report.bad("kubelet", &Error::new(Code::Kubelet, finding)),
        }
    }
    let attributes = plugin.as_ref().and_then(|plugin| plugin.provider.token_attributes.clone());
    let attributes = attributes.map(|it| it.value);
    match plugin.filter(|_| is_plugin) {
        Some(Plugin { provider, .. }) if !provider.env.is_empty() => {
            let names: Vec<_> = provider.env.iter().map(|(name, _)| format!("`{name}`")).collect();
            report.good("kubelet", format!("its `env` has {}, which hold below", names.join(", ")));
        }
        Some(_) => {}
        None => report.note("kubelet", "what follows is in the environment of this shell, not of the plugin"),
    }
    attributes
}

/// What is wrong with the settings file is reported, and the rest goes on without it.
fn read_settings(configuration: Configuration, context: &Context<'_>, report: &mut Report) -> Configuration {
    let without = configuration.clone();
    match context::read_settings_file(context) {
        Ok(None) => report.good("settings", "no settings file"),
        Ok(Some((path, text))) => match configuration.with_file(&path, &text) {
            Ok(configuration) => {
                report.good("settings", format!("`{}`", path.display()));
                return configuration;
            }
            Err(error) => report.bad("settings", &error),
        },
        Err(error) => report.bad("settings", &error),
    }
    without
}

/// How long all steps together may take.
const LONGEST: Duration = Duration::from_mins(2);

fn look_at_image(
    image: &ImageReference,
    choice: Choice,
    command: &DoctorCommand,
    configuration: &Configuration,
    context: &Context<'_>,
    report: &mut Report,
) {
    let Choice { rule, registry, settings, .. } = choice;
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
    let Some(context) = command.pod.who_asks(context, report) else { return };
    look_at_cache(Some(&registry), &context, report);
    look_at_last_result(&registry, &context, report);
    certificate::look(&context, report);
    let Some(probe) = report.check("aws", Probe::new(&registry, &context)) else { return };
    let started = context.host.stopwatch().elapsed();
    let Some(identity) = look_at_identity(&registry, &probe, report) else { return };
    let answer = probe.ask(&registry, identity);
    let took = context.host.stopwatch().elapsed().saturating_sub(started);
    look_at_way(&probe, answer.as_ref().err(), report);
    let token = match answer {
        Err(error) if provider::may_go_without(&registry, &error) => {
            return report.note("aws", format!("ECR Public is pulled from without a password: {error}"));
        }
        answer => report.check("aws", answer),
    };
    let Some(token) = token else { return };
    let limit = context.settings.deadline;
    if took > limit {
        let cause =
            format!("identity and password took {:.1} s, and a call has {limit:?}", took.as_secs_f32());
        report.bad("aws", &Error::new(Code::DeadlinePassed, cause));
    } else {
        report.good("aws", format!("password valid until {:.0}", token.expires_at));
    }
    if command.pull {
        pull::look(image, &token, &probe, report);
    }
}

/// Who asks AWS. Without an identity, whether AWS can be reached at all is looked at nevertheless.
fn look_at_identity(registry: &Registry, probe: &Probe<'_>, report: &mut Report) -> Option<Identity> {
    let error = match probe.identity() {
        Ok(identity) => {
            report.good("identity", identity.name.clone());
            return Some(identity);
        }
        Err(error) => error,
    };
    if provider::may_go_without(registry, &error) {
        report.note("identity", format!("ECR Public is pulled from without a password: {error}"));
    } else {
        report.bad("identity", &error);
    }
    if !probe.way().endpoint.is_empty() {
        look_at_way(probe, Some(&error), report);
    }
    let reached = probe.knock(registry);
    look_at_way(probe, reached.as_ref().err(), report);
    if report.check("aws", reached).is_some() {
        report.skipped("aws", "it can be reached, but there is no identity to ask it with");
    }
    None
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
