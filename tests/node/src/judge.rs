//! The kubelet's own code as a judge of configurations: the table, and variants of it that nobody thought of.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use stand_in::configurations::{self, FOLDER, PLUGINS};

use crate::agreement;

/// The program of `tests/node/go/register`, which runs.
pub(crate) struct Judge {
    program: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Judge {
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let mut program = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = program.stdin.take().context("stdin")?;
        let answers = BufReader::new(program.stdout.take().context("stdout")?);
        Ok(Self { program, questions, answers })
    }

    fn ask(&mut self, question: &Value) -> Result<Value> {
        writeln!(self.questions, "{question}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    /// The kubelet's words for a configuration; none if it would start.
    pub(crate) fn words(&mut self, config: &Path, plugins: &Path) -> Result<String> {
        let answer = self.ask(&json!({ "config": config, "binDir": plugins }))?;
        Ok(answer["error"].as_str().unwrap_or_default().to_owned())
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.program.kill().and_then(|()| self.program.wait());
    }
}

/// The table has the kubelet's words, and they agree with `validate`.
pub(crate) fn compare_table(judge: &mut Judge, folder: &Path) -> Result<()> {
    let plugins = folder.join("plugins");
    configurations::make_plugins(&plugins)?;
    let mut wrong = Vec::new();
    for (index, configuration) in configurations::all().into_iter().enumerate() {
        let own = folder.join(index.to_string());
        let config = configuration.write(&own)?;
        let words = judge.words(&config, &plugins)?;
        // The kubelet quotes the whole file where its kind is missing.
        let shown = words.split(" in '").next().unwrap_or_default();
        let shown = shown.replace(&own.display().to_string(), FOLDER);
        let shown = shown.replace(&plugins.display().to_string(), PLUGINS);
        if shown != configuration.words {
            let row = json!([configuration.name, shown]);
            wrong.push(format!("the table should have {row}"));
        }
        let checked = agreement::check(&config, &plugins);
        let (theirs, ours) = (agreement::of_words(&words), agreement::of_checked(&checked));
        if theirs != ours {
            wrong.push(format!(
                "{}: the kubelet says {words:?}, {theirs:?}; validate says {ours:?}",
                configuration.name
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// How many variants are tried, and how many may be judged differently by text that is no YAML for one of the two
/// parsers, as long as none is taken that the kubelet refuses.
const VARIANTS: usize = 20_000;
const STRANGE: usize = 40;

/// Variants of the table, the same at every run.
pub(crate) fn compare_variants(judge: &mut Judge, folder: &Path) -> Result<()> {
    let plugins = folder.join("plugins");
    configurations::make_plugins(&plugins)?;
    let seeds: Vec<String> = configurations::all()
        .into_iter()
        // Of other kinds a kubelet looks at the fields before it minds.
        .filter(|configuration| !configuration.words.contains("(wrong Kind)"))
        .filter_map(|configuration| match &configuration.files[..] {
            [(_, bytes)] => String::from_utf8(bytes.clone()).ok(),
            _ => None,
        })
        .collect();
    let mut chance = Chance::START;
    let config = folder.join("variant.yaml");
    let mut strange = Vec::new();
    for _ in 0..VARIANTS {
        let mut text = chance.one_of(&seeds).clone();
        for _ in 0..=chance.below(3) {
            text = chance.change(&text);
        }
        std::fs::write(&config, &text)?;
        let words = judge.words(&config, &plugins)?;
        let (theirs, ours) =
            (agreement::of_words(&words), agreement::of_checked(&agreement::check(&config, &plugins)));
        if theirs != ours {
            let said = format!("{text}\nthe kubelet says {words:?}, {theirs:?}; validate says {ours:?}");
            ensure!(ours.is_some(), "validate takes what the kubelet refuses:\n{said}");
            strange.push(said);
        }
    }
    ensure!(strange.len() <= STRANGE, "{} of {VARIANTS}:\n{}", strange.len(), strange.join("\n\n"));
    Ok(())
}

/// Numbers that look like chance (xorshift), the same at every run.
struct Chance(u64);

/// What people write, and what parsers stumble over.
const PIECES: [&str; 60] = [
    " ", "  ", "\n", "\t", ":", ": ", "- ", "-", ",", "[", "]", "{", "}", "'", "\"", "#", " #", "&a ", "*a",
    "!!str ", "!x ", "|", "|-\n", ">", "?", "? ", "%", "@", "`", "~", "null", "yes", "n", "on", "Off",
    "true", "0", "1_0", "0o7", "1e3", ".5", "-1s", "12h", "0s", "<<: ", "---\n", "...\n", "\r\n", "\\",
    "\\n", "\u{e4}", "\u{a0}", "name", "Name", "kind: ", "p", "q", "/", "=", "1:2",
];

impl Chance {
    const START: Self = Self(0x9e37_79b9_7f4a_7c15);

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % limit.max(1)
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A piece more, a character less, a line twice, elsewhere or gone, another word, another indentation.
    fn change(&mut self, text: &str) -> String {
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let at = *self.one_of(&ends);
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        let line = self.below(lines.len());
        match self.below(8) {
            0 | 1 => return format!("{}{}{}", &text[..at], self.one_of(&PIECES), &text[at..]),
            2 => {
                let rest: String = text[at..].chars().skip(1).collect();
                return format!("{}{rest}", &text[..at]);
            }
            3 if !lines.is_empty() => lines.insert(line, lines[line].clone()),
            4 if !lines.is_empty() => drop(lines.remove(line)),
            5 if !lines.is_empty() => {
                let other = self.below(lines.len());
                lines.swap(line, other);
            }
            6 if !lines.is_empty() => {
                let start = *self.one_of::<&str>(&[" ", "  ", "\t", "- "]);
                lines[line].insert_str(0, start);
            }
            _ => {
                let words: Vec<&str> = text.split([' ', '\n', ',']).filter(|word| !word.is_empty()).collect();
                if !words.is_empty() {
                    let word = *self.one_of(&words);
                    let piece = *self.one_of(&PIECES);
                    return text.replacen(word, piece, 1);
                }
            }
        }
        lines.concat()
    }
}
