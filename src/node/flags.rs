//! The two flags by which a kubelet learns of credential providers.

/// What the flags say; the last one wins, as in the kubelet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--image-credential-provider-config`: a file, or from 1.34 on a directory.
    pub config: Option<String>,
    /// `--image-credential-provider-bin-dir`: where the plugins are.
    pub bin_dir: Option<String>,
}

impl Flags {
    /// From a command line, a word an item: `--flag value` and `--flag=value`, with one dash or two.
    pub(crate) fn of_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut flags = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let (name, value) =
                word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            let Some(flag) = flags.named(name) else { continue };
            if let Some(value) = value.or_else(|| words.next()) {
                *flag = Some(value.to_owned());
            }
        }
        flags
    }

    /// From the text of an environment file, a systemd unit or a file of arguments: the flags are looked for in
    /// all of its lines that are no comments, so what stands around them does not matter.
    pub(crate) fn of_text(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with(['#', ';']));
        let words = lines.flat_map(|line| line.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')));
        Self::of_words(words.filter(|word| !matches!(*word, "" | "\\")).map(without_assignment))
    }

    /// These, where `later` does not say otherwise.
    pub(crate) fn overridden_by(self, later: Self) -> Self {
        Self { config: later.config.or(self.config), bin_dir: later.bin_dir.or(self.bin_dir) }
    }

    pub(crate) fn are_absent(&self) -> bool {
        *self == Self::default()
    }

    /// The kubelet takes `_` for `-` in the names of flags.
    fn named(&mut self, name: &str) -> Option<&mut Option<String>> {
        let name = name.strip_prefix("--").or_else(|| name.strip_prefix('-'))?;
        match name.replace('_', "-").as_str() {
            "image-credential-provider-config" => Some(&mut self.config),
            "image-credential-provider-bin-dir" => Some(&mut self.bin_dir),
            _ => None,
        }
    }
}

/// `--flag=value` of `NAME=--flag=value`.
fn without_assignment(word: &str) -> &str {
    match word.split_once('=') {
        Some((name, value)) if !name.starts_with('-') && value.starts_with('-') => value,
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_flags_in_every_form() {
        let both = ["/c.yaml", "/bin"].map(|path| Some(path.to_owned()));
        let [config, bin_dir] = both;
        let expected = Flags { config, bin_dir };
        let rows = [
            "--image-credential-provider-config=/c.yaml --image-credential-provider-bin-dir=/bin",
            "--v=2 --image-credential-provider-config /c.yaml --image-credential-provider-bin-dir /bin",
            "-image-credential-provider-config=/c.yaml -image_credential_provider_bin_dir /bin",
            "--image-credential-provider-config=/old --image-credential-provider-config=/c.yaml\n\
             --image-credential-provider-bin-dir=/bin",
            "KUBELET_EXTRA_ARGS=--image-credential-provider-config=/c.yaml\nB='--image-credential-provider-bin-dir=/bin'",
            "A=\"--x=y \\\n --image-credential-provider-config=/c.yaml \\\n--image-credential-provider-bin-dir=/bin \"",
            "#--image-credential-provider-config=/no\n[Service]\nEnvironment=\"A=--image-credential-provider-config=/c.yaml\"\n\
             ExecStart=/usr/bin/kubelet --image-credential-provider-bin-dir=/bin $A",
        ];
        for text in rows {
            assert_eq!(Flags::of_text(text), expected, "{text}");
        }
        assert!(Flags::of_text("--image-credential-provider-config").are_absent());
        assert!(Flags::of_text("--node-labels=image-credential-provider-config=/c").are_absent());
    }
}
