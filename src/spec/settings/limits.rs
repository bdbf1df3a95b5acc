//! What is wrong with settings beyond their form: texts that would not stay in their line of a job's script, and numbers that
//! contradict each other. Knows nothing of how a script is written but that everything has a line of its own.

use super::slurm::SlurmSettings;
use crate::{
    format::secret::assigned,
    spec::{
        diagnostic::Diagnostic,
        document::{Document, FieldPath},
    },
};

/// What names of partitions, accounts and the like consist of, besides letters and digits of ASCII.
const IN_NAMES: &str = "_.,:@+-";
/// What constraints consist of besides: `&`, `|` and brackets join features.
const IN_CONSTRAINTS: &str = "&|[]*()";

/// Every text of one file that could say more to the shell or to Slurm than its field means.
pub(super) fn wrong_texts(document: &Document) -> Vec<Diagnostic> {
    let slurm = FieldPath::of("execution.slurm");
    let kinds = slurm.key("kinds");
    let of_kinds = document.keys(&kinds).into_iter().map(|kind| kinds.key(kind));
    let mut found = Vec::new();
    for table in [slurm.clone()].into_iter().chain(of_kinds) {
        for field in ["partition", "account", "qos"] {
            found.extend(wrong_name(document, &table.key(field), ""));
        }
        found.extend(wrong_name(document, &table.key("constraint"), IN_CONSTRAINTS));
        found.extend(wrong_entries(document, &table.key("options"), wrong_option));
    }
    found.extend(wrong_entries(document, &slurm.key("setup"), wrong_setup));
    found
}

fn wrong_name(document: &Document, path: &FieldPath, also: &str) -> Option<Diagnostic> {
    let text = document.text(path)?;
    let span = document.value_span(path);
    if text.is_empty() {
        return Some(Diagnostic::new(span, format!("`{path}` is empty"), "expected a name").hint("leave the key out"));
    }
    let fits = |letter: char| letter.is_ascii_alphanumeric() || IN_NAMES.contains(letter) || also.contains(letter);
    let stranger = text.chars().find(|letter| !fits(*letter))?;
    let allowed: Vec<String> = IN_NAMES.chars().chain(also.chars()).map(|letter| format!("`{letter}`")).collect();
    let message = format!("`{path}` has {}, which no such name has", shown(stranger));
    let hint = format!("it consists of letters from a to z, digits and {}", allowed.join(" "));
    Some(Diagnostic::new(span, message, "not a name").hint(hint))
}

/// A letter as a message can show it.
fn shown(letter: char) -> String {
    match letter {
        ' ' => "a blank".to_owned(),
        letter if letter.is_control() => format!("`{}`", letter.escape_default()),
        letter => format!("`{letter}`"),
    }
}

/// What is wrong with an entry of a list, as a message goes on behind its path, and what to do about it.
type Wrong = (String, String);

fn wrong_entries(document: &Document, path: &FieldPath, wrong: fn(&str) -> Option<Wrong>) -> Vec<Diagnostic> {
    let entries = (0..).map(|index| path.index(index)).take_while(|entry| document.has(entry));
    let told = entries.filter_map(|entry| {
        let (what, hint) = wrong(document.text(&entry)?)?;
        Some(Diagnostic::new(document.value_span(&entry), format!("`{entry}` {what}"), "not possible here").hint(hint))
    });
    told.collect()
}

/// Whether a text ends its line before it ends itself. Tabs are blanks to a shell.
fn breaks_line(text: &str) -> bool {
    text.chars().any(|letter| letter.is_control() && letter != '\t')
}

fn wrong_option(text: &str) -> Option<Wrong> {
    let wrong = |what: &str, hint: &str| Some((what.to_owned(), hint.to_owned()));
    if breaks_line(text) {
        return wrong("holds a line break or another control character", "give each option an entry of its own");
    }
    let name = text.strip_prefix("--").filter(|name| name.starts_with(|letter: char| letter.is_ascii_lowercase()));
    let Some(name) = name else {
        let hint = "write the long form with its value after an equals sign, as `--exclude=n13`";
        return wrong("is no option that begins with `--`", hint);
    };
    let name = name.split(['=', ' ']).next().unwrap_or_default();
    // `sbatch` takes the beginning of an option's name for the whole.
    let own = |known: &&(&str, Instead)| known.0 == name || known.0.starts_with(name);
    let (own, instead) = OWN_OPTIONS.iter().find(own)?;
    let hint = match instead {
        Instead::Field(field) => format!("set `{field}` in its place"),
        Instead::Nothing => "take it out: every job is submitted with one that hebb needs".to_owned(),
    };
    Some((format!("sets `--{own}`, which hebb sets itself"), hint))
}

/// What to write in place of an option of [`OWN_OPTIONS`].
enum Instead {
    /// This field of the same table.
    Field(&'static str),
    /// Nothing.
    Nothing,
}

/// Options of `sbatch` that every job has from hebb, or that would undo one of them: a second one would win over it. That of GPUs
/// is none of them, since it may have to name their type.
const OWN_OPTIONS: [(&str, Instead); 23] = [
    ("account", Instead::Field("account")),
    ("array", Instead::Nothing),
    ("chdir", Instead::Nothing),
    ("constraint", Instead::Field("constraint")),
    ("cpus-per-task", Instead::Field("cpus")),
    ("dependency", Instead::Nothing),
    ("error", Instead::Nothing),
    ("job-name", Instead::Nothing),
    ("mem", Instead::Field("memory_gb")),
    ("mem-per-cpu", Instead::Field("memory_gb")),
    ("mem-per-gpu", Instead::Field("memory_gb")),
    ("no-requeue", Instead::Nothing),
    ("nodes", Instead::Nothing),
    ("ntasks", Instead::Nothing),
    ("open-mode", Instead::Nothing),
    ("output", Instead::Nothing),
    ("parsable", Instead::Nothing),
    ("partition", Instead::Field("partition")),
    ("qos", Instead::Field("qos")),
    ("requeue", Instead::Nothing),
    ("time", Instead::Field("time_limit_min")),
    ("wait", Instead::Nothing),
    ("wrap", Instead::Nothing),
];

fn wrong_setup(text: &str) -> Option<Wrong> {
    let wrong = |what: &str, hint: &str| Some((what.to_owned(), hint.to_owned()));
    if breaks_line(text) {
        return wrong("holds a line break or another control character", "give each line an entry of its own");
    }
    if !assigned(text).is_empty() {
        let hint = "keep it in a file that only you can read, and write `. FILE` or `export NAME=\"$(cat FILE)\"`; what your own \
                    environment has, jobs have too";
        return wrong("sets a variable with the name of a secret, and every script of a job would hold it", hint);
    }
    // A backslash that is not itself escaped would make the next line of the script a part of this one.
    let n_backslashes = text.len() - text.trim_end_matches('\\').len();
    if n_backslashes % 2 == 1 { wrong("ends with a backslash", "write the whole command in one entry") } else { None }
}

/// Every number of the settings as a whole that another makes impossible.
pub(super) fn wrong_limits(slurm: &SlurmSettings, document: &Document) -> Vec<Diagnostic> {
    let root = FieldPath::of("execution.slurm");
    let of_kind = |kind: &str, field: &str| root.key("kinds").key(kind).key(field);
    let minutes = [(root.key("time_limit_min"), Some(f64::from(slurm.time_limit_min)))].into_iter().chain(
        slurm.kinds.iter().map(|(kind, own)| (of_kind(kind, "time_limit_min"), own.time_limit_min.map(f64::from))),
    );
    let memory = [(root.key("memory_gb"), Some(slurm.memory_gb))]
        .into_iter()
        .chain(slurm.kinds.iter().map(|(kind, own)| (of_kind(kind, "memory_gb"), own.memory_gb)));
    let longest = (root.key("longest_min"), f64::from(slurm.longest_min));
    let most = (root.key("most_memory_gb"), slurm.most_memory_gb);
    let pairs = minutes.map(|least| (least, &longest)).chain(memory.map(|least| (least, &most)));
    pairs.filter_map(|((path, least), most)| above(document, (path, least?), most)).collect()
}

/// That `least` is more than `most`, told where the user wrote either.
fn above(document: &Document, least: (FieldPath, f64), most: &(FieldPath, f64)) -> Option<Diagnostic> {
    let ((least, at_least), (most, at_most)) = (least, most);
    if at_least <= *at_most {
        return None;
    }
    let origin = |path: &FieldPath| match document.has(path) {
        true => format!("in `{}`", document.sources[document.value_span(path).source].name),
        false => "by default".to_owned(),
    };
    Some(if document.has(&least) {
        let message = format!("`{least}` is {at_least}, more than `{most}`, which is {at_most} {}", origin(most));
        let wrong = Diagnostic::new(document.value_span(&least), message, format!("expected at most {at_most}"));
        wrong.hint(format!("lower it, or raise `{most}`"))
    } else {
        let message = format!("`{most}` is {at_most}, less than `{least}`, which is {at_least} by default");
        let wrong = Diagnostic::new(document.value_span(most), message, format!("expected at least {at_least}"));
        wrong.hint(format!("raise it, or lower `{least}` too"))
    })
}

#[cfg(test)]
mod tests {
    use crate::spec::{SpecError, settings::read_settings};
    use std::{fs, path::PathBuf};

    /// All that is wrong with files of settings, as a terminal shows it.
    fn told(texts: &[&str]) -> Option<String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let paths: Vec<PathBuf> = (0..texts.len()).map(|index| folder.path().join(format!("{index}.toml"))).collect();
        paths.iter().zip(texts).for_each(|(path, text)| fs::write(path, text).expect("writable"));
        match read_settings(&paths, &["extract"]) {
            Ok(_) => None,
            Err(SpecError::Wrong(errors)) => Some(errors.render(false)),
            Err(other) => panic!("{other}"),
        }
    }

    #[track_caller]
    fn refuses(text: &str, words: &[&str]) {
        let told = told(&[text]).unwrap_or_else(|| panic!("`{text}` was taken"));
        words.iter().for_each(|word| assert!(told.contains(word), "`{word}` is not said: {told}"));
    }

    #[test]
    fn names_that_clusters_have_are_taken() {
        for line in [
            "partition = 'main,long-2.x'",
            "account = 'lab:neuro+a_b@c'",
            "qos = 'normal'",
            "constraint = '[rack1*2&rack2*4]|(a&b)'",
            "options = ['--exclude=n13', '--comment=two words', \"--gres=gpu:a100:1\"]",
            "setup = ['module load a && export B=\"c d\"', \"\\tsource x\", 'echo \\\\']",
        ] {
            assert_eq!(told(&[&format!("[execution.slurm]\n{line}\n")]), None);
        }
    }

    #[test]
    fn names_cannot_break_out_of_their_line() {
        for table in ["execution.slurm", "execution.slurm.kinds.extract"] {
            for field in ["partition", "account", "qos", "constraint"] {
                for (value, shown) in [
                    (r#""a\nb""#, r"`\n`"),
                    (r#""a\rb""#, r"`\r`"),
                    (r#""a b""#, "a blank"),
                    (r#""a;b""#, "`;`"),
                    (r#""$(x)""#, "`$`"),
                    (r#""a`b""#, "```"),
                    (r##""a#b""##, "`#`"),
                    (r#""é""#, "`é`"),
                ] {
                    let text = format!("[{table}]\n{field} = {value}\n");
                    refuses(&text, &[&format!("`{table}.{field}` has {shown}, which no such name has"), "not a name"]);
                }
                refuses(&format!("[{table}]\n{field} = ''\n"), &[&format!("`{table}.{field}` is empty")]);
            }
            for field in ["partition", "account", "qos"] {
                refuses(&format!("[{table}]\n{field} = 'a&b'\n"), &["has `&`"]);
            }
        }
    }

    #[test]
    fn options_are_long_ones_on_one_line() {
        for table in ["execution.slurm", "execution.slurm.kinds.extract"] {
            for value in ["'-x n13'", "'exclude=n13'", "'--'", "'-- x'", "''", "'---x'"] {
                let text = format!("[{table}]\noptions = ['--nice=1', {value}]\n");
                refuses(&text, &[&format!("`{table}.options[1]` is no option that begins with `--`")]);
            }
            for value in [r#""--nice=1\n--exclude=n13""#, r#""--nice\r""#, r#""--nice\u0000""#] {
                let text = format!("[{table}]\noptions = [{value}]\n");
                refuses(&text, &[&format!("`{table}.options[0]` holds a line break")]);
            }
        }
    }

    #[test]
    fn options_that_every_job_has_are_no_further_ones() {
        for table in ["execution.slurm", "execution.slurm.kinds.extract"] {
            for (value, own, hint) in [
                ("--array=1-9", "array", "take it out"),
                ("--output=here.log", "output", "take it out"),
                ("--error=here.log", "error", "take it out"),
                ("--job-name=mine", "job-name", "take it out"),
                ("--parsable", "parsable", "take it out"),
                ("--wait", "wait", "take it out"),
                ("--wrap=true", "wrap", "take it out"),
                ("--dependency=afterok:1", "dependency", "take it out"),
                ("--chdir=/", "chdir", "take it out"),
                ("--requeue", "requeue", "take it out"),
                ("--no-requeue", "no-requeue", "take it out"),
                ("--mem=8G", "mem", "set `memory_gb` in its place"),
                ("--time 10", "time", "set `time_limit_min` in its place"),
                ("--arr=1-9", "array", "take it out"),
                ("--part=gpu", "partition", "set `partition` in its place"),
            ] {
                let text = format!("[{table}]\noptions = ['--nice=1', '{value}']\n");
                let message = format!("`{table}.options[1]` sets `--{own}`, which hebb sets itself");
                refuses(&text, &[&message, "not possible here", hint]);
            }
        }
    }

    #[test]
    fn options_whose_names_begin_alike_are_taken() {
        for value in
            ["--nodelist=n1", "--time-min=5", "--mem-bind=local", "--wait-all-nodes=1", "--export=NONE", "--no-kill"]
        {
            assert_eq!(told(&[&format!("[execution.slurm]\noptions = ['{value}']\n")]), None);
        }
    }

    #[test]
    fn setup_lines_are_lines() {
        refuses("[execution.slurm]\nsetup = ['a', \"b\\nc\"]\n", &["`execution.slurm.setup[1]` holds a line break"]);
        refuses("[execution.slurm]\nsetup = ['a \\']\n", &["`execution.slurm.setup[0]` ends with a backslash"]);
    }

    #[test]
    fn a_job_asks_for_no_more_time_than_the_longest_may() {
        assert_eq!(told(&["[execution.slurm]\ntime_limit_min = 90\nlongest_min = 90\n"]), None);
        let least = "`execution.slurm.time_limit_min` is 2000, more than `execution.slurm.longest_min`, which is 1440 by default";
        refuses("[execution.slurm]\ntime_limit_min = 2000\n", &[least, "2 | time_limit_min = 2000"]);
        let most =
            "`execution.slurm.longest_min` is 30, less than `execution.slurm.time_limit_min`, which is 60 by default";
        refuses("[execution.slurm]\nlongest_min = 30\n", &[most, "2 | longest_min = 30"]);
        let kind = "`execution.slurm.kinds.extract.time_limit_min` is 1500, more than `execution.slurm.longest_min`";
        refuses("[execution.slurm.kinds.extract]\ntime_limit_min = 1500\n", &[kind]);
    }

    #[test]
    fn a_job_asks_for_no_more_memory_than_the_most() {
        assert_eq!(told(&["[execution.slurm]\nmemory_gb = 8\nmost_memory_gb = 8\n"]), None);
        let least =
            "`execution.slurm.memory_gb` is 300, more than `execution.slurm.most_memory_gb`, which is 256 by default";
        refuses("[execution.slurm]\nmemory_gb = 300\n", &[least, "expected at most 256"]);
        let most =
            "`execution.slurm.most_memory_gb` is 0.5, less than `execution.slurm.memory_gb`, which is 1 by default";
        refuses("[execution.slurm]\nmost_memory_gb = 0.5\n", &[most]);
        let kind = "`execution.slurm.kinds.extract.memory_gb` is 257, more than";
        refuses("[execution.slurm.kinds.extract]\nmemory_gb = 257\n", &[kind]);
    }

    #[test]
    fn limits_hold_across_files_and_name_both() {
        let told = told(&["[execution.slurm]\nlongest_min = 120\n", "[execution.slurm]\ntime_limit_min = 180\n"]);
        let told = told.expect("too long for this site");
        assert!(told.contains("1.toml:2:18"), "{told}");
        assert!(told.contains("0.toml`"), "{told}");
    }
}
