//! Blocks that are no commands: studies and pieces of studies, settings, tables, programs. Each is read by what would read it for
//! a reader.

use super::{
    page::{Block, Wish},
    sandbox::Sandbox,
};
use std::{fs, path::Path};

/// Whether a block is what it is said to be.
///
/// # Errors
/// In words: what is wrong with it.
pub(crate) fn check(block: &Block, sandbox: &Sandbox) -> Result<(), String> {
    let written = block.wish(|wish| if let Wish::Write(file) = wish { Some(file) } else { None });
    if let Some(file) = written {
        let path = sandbox.root().join(file);
        fs::create_dir_all(path.parent().expect("a file in a folder")).map_err(|error| error.to_string())?;
        fs::write(path, block.text()).map_err(|error| error.to_string())?;
    }
    match block.language.as_str() {
        "toml" => toml_block(block, sandbox, written.map(String::as_str)),
        "json" => serde_json::from_str::<serde_json::Value>(&block.text()).map(drop).map_err(|error| error.to_string()),
        "jsonl" => block.lines.iter().try_for_each(|line| {
            serde_json::from_str::<serde_json::Value>(line).map(drop).map_err(|error| format!("`{line}`: {error}"))
        }),
        "python" => python(block, sandbox),
        "bib" | "bibtex" => bibliography(&block.text()),
        _ if written.is_some() => Ok(()),
        language => Err(format!(
            "nothing is known of a block of `{language}`; `<!-- test printed by: COMMAND -->` or `<!-- test write: FILE -->` before it \
             says what it is, or an entry of tests/docs/elsewhere.rs where it is tried"
        )),
    }
}

fn toml_block(block: &Block, sandbox: &Sandbox, written: Option<&str>) -> Result<(), String> {
    let text = block.text();
    let refused = block.wish(|wish| if let Wish::Refused(words) = wish { Some(words.as_str()) } else { None });
    let table = match (text.parse::<toml::Table>(), refused) {
        (Ok(table), _) => table,
        (Err(error), None) => return Err(error.to_string()),
        (Err(_), Some(_)) => toml::Table::new(),
    };
    if table.keys().all(|key| key == "execution") && !table.is_empty() {
        fs::write(sandbox.root().join("block-settings.toml"), &text).map_err(|error| error.to_string())?;
        let command = "hebb slurm script experiments/quickstart.toml --settings block-settings.toml";
        return judge(&sandbox.shell(command), refused);
    }
    let whole = table.contains_key("study") && (table.contains_key("include") || table.contains_key("runs"));
    let base = block.wish(|wish| if let Wish::Into(study) = wish { Some(study.as_str()) } else { None });
    let base = Path::new(base.unwrap_or("experiments/quickstart.toml"));
    let folder = base.parent().expect("a file in a folder");
    let file = match (written, whole) {
        (Some(file), true) => file.to_owned(),
        _ => {
            let name = base.file_name().expect("a file").to_string_lossy();
            let text = if whole { text } else { pieced(&name, &text, &table) };
            let file = folder.join(format!("block-{}.toml", block.line));
            fs::write(sandbox.root().join(&file), text).map_err(|error| error.to_string())?;
            file.display().to_string()
        }
    };
    judge(&sandbox.shell(&format!("cd '{}' && hebb check --trust '{file}'", sandbox.root().display())), refused)
}

/// A study of a piece and the study that it is a piece of.
fn pieced(base: &str, piece: &str, table: &toml::Table) -> String {
    let name = if table.contains_key("study") { "" } else { "[study]\nname = \"block\"\n" };
    format!("include = \"{base}\"\n{piece}\n{name}")
}

/// Whether a check ended as it should: well, without the files that only its reader has, or with these words.
fn judge(printed: &super::sandbox::Printed, refused: Option<&str>) -> Result<(), String> {
    let all = printed.lines.join("\n");
    match refused {
        Some(words) if printed.status != 0 && all.contains(words) => Ok(()),
        Some(words) => Err(format!("expected an error with `{words}`, got {}:\n{all}", printed.status)),
        None if printed.status == 0 => Ok(()),
        None => {
            let mut errors = printed.lines.iter().filter(|line| line.starts_with("error")).peekable();
            let lacks = errors.peek().is_some() && errors.all(|line| line.starts_with("error: there is no"));
            if lacks { Ok(()) } else { Err(format!("it is refused:\n{all}")) }
        }
    }
}

/// Compiles a program, and runs it where what it imports is there.
fn python(block: &Block, sandbox: &Sandbox) -> Result<(), String> {
    if sandbox.shell("command -v python3").status != 0 && std::env::var_os("CI").is_none() {
        eprintln!("skipped: no python3 to compile a block with");
        return Ok(());
    }
    fs::write(sandbox.root().join("block.py"), block.text()).map_err(|error| error.to_string())?;
    let compiled = sandbox.shell("python3 -m py_compile block.py");
    if compiled.status != 0 {
        return Err(compiled.lines.join("\n"));
    }
    let imports: Vec<_> =
        block.lines.iter().filter(|line| line.starts_with("import ") || line.starts_with("from ")).collect();
    let imports = imports.iter().map(|line| format!("{line}\n")).collect::<String>();
    fs::write(sandbox.root().join("block-imports.py"), imports).map_err(|error| error.to_string())?;
    if sandbox.shell("python3 block-imports.py").status != 0 {
        return Ok(());
    }
    let ran = sandbox.shell("python3 block.py");
    if ran.status == 0 { Ok(()) } else { Err(ran.lines.join("\n")) }
}

/// Whether every entry opens, closes, and has a name.
fn bibliography(text: &str) -> Result<(), String> {
    let opened = text.matches('{').count();
    if opened != text.matches('}').count() || opened == 0 {
        return Err("its braces do not match".to_owned());
    }
    let entries = text.lines().filter(|line| line.starts_with('@'));
    match entries.clone().find(|line| !line.trim_end().ends_with(',') || !line.contains('{')) {
        Some(line) => Err(format!("`{line}` does not begin an entry")),
        None if entries.count() == 0 => Err("it has no entry".to_owned()),
        None => Ok(()),
    }
}
