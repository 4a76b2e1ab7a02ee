//! The two flags, put into the texts that kubelets get them from. Pure.

use std::path::Path;

use crate::node::distribution::{EXTRA_ARGS, K0S_OPTION};
use crate::node::environment::{self, Assignment};
use crate::node::unit::{Unit, quoted, split};

/// Our variable in our drop-in.
const OWN_VARIABLE: &str = "KUBELET_IMAGE_CREDENTIAL_PROVIDER_ARGS";

/// Both flags, as every kubelet takes them.
pub(crate) fn both(config: &Path, bin_dir: &Path) -> [String; 2] {
    [
        format!("--image-credential-provider-config={}", config.display()),
        format!("--image-credential-provider-bin-dir={}", bin_dir.display()),
    ]
}

/// An environment file with `flags` at the end of `KUBELET_EXTRA_ARGS`, in the quotes that are there. None if the
/// text is such that its other assignments would not surely stay what they are.
pub(crate) fn in_environment_file(text: &str, flags: &[String]) -> Option<String> {
    let added = flags.join(" ");
    let before = environment::assignments(text);
    let last = before.iter().rfind(|assignment| assignment.name == EXTRA_ARGS);
    let edited = if let Some(Assignment { range, .. }) = last {
        let value = longer(&text[range.clone()], &added);
        format!("{}{value}{}", &text[..range.start], &text[range.end..])
    } else {
        with_line(text, &format!("{EXTRA_ARGS}=\"{added}\""))
    };
    is_only_longer(&before, &environment::assignments(&edited), flags).then_some(edited)
}

/// A value as it is written, with `added` at its end.
fn longer(value: &str, added: &str) -> String {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    if let Some(inner) = quote.and_then(|quote| value[1..].strip_suffix(quote)) {
        let quote = &value[..1];
        let space = if inner.is_empty() { "" } else { " " };
        return format!("{quote}{inner}{space}{added}{quote}");
    }
    if value.is_empty() {
        return format!("\"{added}\"");
    }
    // In quotes a shell can read the file, too.
    if value.contains(['"', '\'', '\\', '$', '`', '\n', '\r']) {
        format!("{value} {added}")
    } else {
        format!("\"{value} {added}\"")
    }
}

fn is_only_longer(before: &[Assignment], after: &[Assignment], flags: &[String]) -> bool {
    let split_last = |all: &[Assignment]| {
        let at = all.iter().rposition(|assignment| assignment.name == EXTRA_ARGS);
        let words = at.map(|at| split(&all[at].value)).unwrap_or_default();
        let others = all.iter().enumerate().filter(|(index, _)| Some(*index) != at);
        let others: Vec<_> = others.map(|(_, other)| (other.name.clone(), other.value.clone())).collect();
        (words, others)
    };
    let ((mut words, others), (words_after, others_after)) = (split_last(before), split_last(after));
    words.extend(flags.iter().cloned());
    words == words_after && others == others_after
}

/// A file with a flag on each line.
pub(crate) fn in_arguments_file(text: &str, flags: &[String]) -> String {
    flags.iter().fold(text.to_owned(), |text, flag| with_line(&text, flag))
}

/// The text with one more line, in the line breaks that it has.
fn with_line(text: &str, line: &str) -> String {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let joint = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
    format!("{text}{joint}{line}{newline}")
}

/// A drop-in that repeats the command line of the service, with the flags at its end. They are in a variable of
/// their own: nothing else sets it, so nothing erases it.
pub(crate) fn drop_in(unit: &Unit, flags: &[String]) -> String {
    format!(
        "{HEAD}[Service]\nEnvironment=\"{OWN_VARIABLE}={}\"\nExecStart=\nExecStart={} ${OWN_VARIABLE}\n",
        flags.join(" "),
        unit.command
    )
}

/// The same for k0s, where the last `--kubelet-extra-args` holds alone.
pub(crate) fn drop_in_for_k0s(unit: &Unit, flags: &[String]) -> String {
    let mut value = Vec::new();
    let mut command: Vec<String> = Vec::new();
    let mut words = split(&unit.command).into_iter();
    while let Some(word) = words.next() {
        match word.strip_prefix(K0S_OPTION).map(|rest| rest.strip_prefix('=')) {
            Some(Some(found)) => value = vec![found.to_owned()],
            Some(None) if word == K0S_OPTION => value = words.next().into_iter().collect(),
            _ => command.push(quoted(&word)),
        }
    }
    value.retain(|value| !value.is_empty());
    value.extend(flags.iter().cloned());
    command.push(quoted(&format!("{K0S_OPTION}={}", value.join(" "))));
    format!("{HEAD}[Service]\nExecStart=\nExecStart={}\n", command.join(" "))
}

const HEAD: &str = "\
# Written by `ecr-credential-provider install`, removed by `uninstall`. It repeats the command line of the service:
# run `install` again when that has changed.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> [String; 2] {
        both(Path::new("/c"), Path::new("/b"))
    }

    #[test]
    fn flags_go_to_the_end_of_the_last_assignment() {
        const F: &str = "--image-credential-provider-config=/c --image-credential-provider-bin-dir=/b";
        let rows = [
            ("", format!("KUBELET_EXTRA_ARGS=\"{F}\"\n")),
            ("KUBELET_EXTRA_ARGS=\n", format!("KUBELET_EXTRA_ARGS=\"{F}\"\n")),
            ("KUBELET_EXTRA_ARGS=", format!("KUBELET_EXTRA_ARGS=\"{F}\"")),
            ("KUBELET_EXTRA_ARGS=\"\"\n", format!("KUBELET_EXTRA_ARGS=\"{F}\"\n")),
            ("KUBELET_EXTRA_ARGS=--v=2\n", format!("KUBELET_EXTRA_ARGS=\"--v=2 {F}\"\n")),
            (
                "KUBELET_EXTRA_ARGS=--v=2 --w  \nA=b\n",
                format!("KUBELET_EXTRA_ARGS=\"--v=2 --w {F}\"  \nA=b\n"),
            ),
            ("KUBELET_EXTRA_ARGS=\"--v=2\"\n", format!("KUBELET_EXTRA_ARGS=\"--v=2 {F}\"\n")),
            ("KUBELET_EXTRA_ARGS='--v=2'\n", format!("KUBELET_EXTRA_ARGS='--v=2 {F}'\n")),
            ("KUBELET_EXTRA_ARGS=--v=2\r\nA=b\r\n", format!("KUBELET_EXTRA_ARGS=\"--v=2 {F}\"\r\nA=b\r\n")),
            ("# x\r\n", format!("# x\r\nKUBELET_EXTRA_ARGS=\"{F}\"\r\n")),
            (
                "#KUBELET_EXTRA_ARGS=--old\n",
                format!("#KUBELET_EXTRA_ARGS=--old\nKUBELET_EXTRA_ARGS=\"{F}\"\n"),
            ),
            ("A=b", format!("A=b\nKUBELET_EXTRA_ARGS=\"{F}\"\n")),
            (
                "KUBELET_EXTRA_ARGS=--one\nKUBELET_EXTRA_ARGS=--two\n",
                format!("KUBELET_EXTRA_ARGS=--one\nKUBELET_EXTRA_ARGS=\"--two {F}\"\n"),
            ),
            (
                "KUBELET_EXTRA_ARGS=\"--v=2 \\\n  --w\"\n",
                format!("KUBELET_EXTRA_ARGS=\"--v=2 \\\n  --w {F}\"\n"),
            ),
            ("KUBELET_EXTRA_ARGS=--v=2 \\\n  --w\n", format!("KUBELET_EXTRA_ARGS=--v=2 \\\n  --w {F}\n")),
            ("KUBELET_EXTRA_ARGS=--v=2 \\\n\nA=b\n", format!("KUBELET_EXTRA_ARGS=--v=2 \\\n {F}\nA=b\n")),
            ("KUBELET_EXTRA_ARGS=--l=\"a b\"\n", format!("KUBELET_EXTRA_ARGS=--l=\"a b\" {F}\n")),
        ];
        for (text, expected) in rows {
            assert_eq!(in_environment_file(text, &flags()).as_deref(), Some(expected.as_str()), "{text:?}");
        }
        // Nothing can be added that would not become part of what is there.
        for text in ["KUBELET_EXTRA_ARGS=\"--v=2\" '--w'\n", "A=\"open\n"] {
            assert_eq!(in_environment_file(text, &flags()), None, "{text:?}");
        }
    }

    #[test]
    fn k0s_keeps_its_own_flags() {
        let rows = [
            ("k0s worker", "k0s worker \"--kubelet-extra-args=F\""),
            ("k0s worker --kubelet-extra-args=--v=2", "k0s worker \"--kubelet-extra-args=--v=2 F\""),
            (
                "k0s worker --kubelet-extra-args=\"--v=2 --w\" --x=\"a b\"",
                "k0s worker \"--x=a b\" \"--kubelet-extra-args=--v=2 --w F\"",
            ),
            (
                "k0s worker --kubelet-extra-args '--v=2' --x",
                "k0s worker --x \"--kubelet-extra-args=--v=2 F\"",
            ),
        ];
        for (command, expected) in rows {
            let unit = Unit { command: command.to_owned(), ..Unit::default() };
            let text = drop_in_for_k0s(&unit, &flags());
            let last = text.lines().last().unwrap().replace(&flags().join(" "), "F");
            assert_eq!(last, format!("ExecStart={expected}"), "{command}");
        }
    }

    #[test]
    fn the_drop_in_repeats_the_command_line() {
        let unit = Unit { command: "/usr/bin/kubelet $A ${B}".to_owned(), ..Unit::default() };
        let expected = "[Service]\nEnvironment=\"KUBELET_IMAGE_CREDENTIAL_PROVIDER_ARGS=--image-credential-provider-config=/c \
            --image-credential-provider-bin-dir=/b\"\nExecStart=\nExecStart=/usr/bin/kubelet $A ${B} \
            $KUBELET_IMAGE_CREDENTIAL_PROVIDER_ARGS\n";
        assert!(drop_in(&unit, &flags()).ends_with(expected));
        assert_eq!(
            in_arguments_file("--a=b", &flags()[..1]),
            "--a=b\n--image-credential-provider-config=/c\n"
        );
    }
}
