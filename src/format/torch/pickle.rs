//! Pickles to plain data. Owns the opcodes of protocols 0 to 5; knows nothing of tensors.
//!
//! A pickle is a program for a machine with a stack and a memo. The machine here has no way to look up or call anything:
//! where Python would, it notes what would have been called with what ([`Call`]), and what that means is for others to say.
//! A name that has no place in a checkpoint ends it (`forbidden.rs`).
//!
//! Every step costs one of [`MOST_STEPS`] and makes at most one value; texts are borrowed from the file. So a pickle takes
//! less than 512 MiB of memory, whatever it says.

mod machine;

use super::{
    error::TorchError,
    literal::{decimal, long, text, unescaped},
    value::{Value, Values},
};
use machine::Machine;
use std::{borrow::Cow, path::Path};

/// Steps of one pickle. A checkpoint of 1000 tensors with its optimizer's takes 100 000.
const MOST_STEPS: usize = 1 << 21;

/// Bytes of one pickle: those of large models have less than one MiB.
pub(super) const MOST_BYTES: usize = 1 << 26;

/// Reads the pickle at the start of `source`; gives what it describes and how many bytes it takes.
pub(super) fn read_pickle<'a>(source: &'a [u8], path: &'a Path) -> Result<(Values<'a>, usize), TorchError> {
    let source = &source[..source.len().min(MOST_BYTES)];
    let mut machine = Machine::new(source, path);
    while !machine.step()? {}
    Ok((machine.values, machine.at))
}

impl Machine<'_> {
    /// Runs one step; true after the last.
    fn step(&mut self) -> Result<bool, TorchError> {
        self.step_at = self.at;
        self.pay(1)?;
        let opcode = self.bytes(1)?[0];
        match opcode {
            // What frames a pickle.
            0x80 => {
                let protocol = self.bytes(1)?[0];
                if protocol > 5 {
                    return Err(self.wrong(format!("begins protocol {protocol}: expected 0 to 5")));
                }
            }
            0x95 => drop(self.bytes(8)?),
            b'.' => {
                let root = self.pop()?;
                self.values.set_root(root);
                return Ok(true);
            }

            // The stack.
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                // Python takes away a mark that is on top.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }

            // The memo.
            b'p' => {
                let key = self.memo_key()?;
                self.memoize(key)?;
            }
            b'q' => {
                let key = u32::from(self.bytes(1)?[0]);
                self.memoize(key)?;
            }
            b'r' => {
                let key = self.u32()?;
                self.memoize(key)?;
            }
            0x94 => {
                let key = u32::try_from(self.memo.len()).expect("the count of steps bounds the memo");
                self.memoize(key)?;
            }
            b'g' => {
                let key = self.memo_key()?;
                self.recall(key)?;
            }
            b'h' => {
                let key = u32::from(self.bytes(1)?[0]);
                self.recall(key)?;
            }
            b'j' => {
                let key = self.u32()?;
                self.recall(key)?;
            }

            // Plain values.
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'I' | b'L' => {
                let line = self.line()?;
                let value = match (opcode, line) {
                    (b'I', b"00") => Some(Value::Bool(false)),
                    (b'I', b"01") => Some(Value::Bool(true)),
                    _ => decimal(line),
                };
                self.push(value.ok_or_else(|| self.wrong("has no number: expected one in decimal digits"))?);
            }
            b'J' => {
                let value = self.u32()?.cast_signed();
                self.push(Value::Int(value.into()));
            }
            b'K' => {
                let value = self.bytes(1)?[0];
                self.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            0x8a | 0x8b => {
                let length = if opcode == 0x8a { u64::from(self.bytes(1)?[0]) } else { self.u32()?.into() };
                let value = long(self.bytes(length)?);
                self.push(value);
            }
            b'F' => {
                let line = self.line()?;
                let value = std::str::from_utf8(line).ok().and_then(|text| text.trim().parse().ok());
                let value = value.ok_or_else(|| self.wrong("has no number: expected one in decimal digits"))?;
                self.push(Value::Float(value));
            }
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Value::Float(value));
            }
            b'S' => {
                let line = self.line()?;
                let quoted =
                    [b'\'', b'"'].iter().find_map(|&quote| line.strip_prefix(&[quote])?.strip_suffix(&[quote]));
                let quoted = quoted.ok_or_else(|| self.wrong("has a text without quotation marks"))?;
                let bytes = unescaped(quoted, b"xnrt\\'\"").ok_or_else(|| self.wrong("has an unfinished escape"))?;
                self.push(text(bytes));
            }
            b'V' => {
                let line = self.line()?;
                let latin: String = line.iter().copied().map(char::from).collect();
                let bytes = unescaped(latin.as_bytes(), b"uU").ok_or_else(|| self.wrong("has an unfinished escape"))?;
                self.push(text(Cow::Owned(bytes.into_owned())));
            }
            b'T' | b'X' | b'U' | 0x8c | 0x8d => {
                let length = self.length(opcode)?;
                let bytes = self.bytes(length)?;
                self.push(text(Cow::Borrowed(bytes)));
            }
            b'B' | b'C' | 0x8e | 0x96 => {
                let length = self.length(opcode)?;
                let bytes = self.bytes(length)?;
                self.push(Value::Bytes(Cow::Borrowed(bytes)));
            }

            // Containers.
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            0x8f => self.push(Value::Set(Vec::new())),
            b'l' => {
                let entries = self.pop_to_mark()?;
                self.push(Value::List(entries));
            }
            b't' => {
                let entries = self.pop_to_mark()?;
                self.push(Value::Tuple(entries));
            }
            0x91 => {
                let entries = self.pop_to_mark()?;
                self.push(Value::Set(entries));
            }
            b'd' => {
                let entries = self.pop_to_mark()?;
                let items = self.pairs(&entries)?;
                self.push(Value::Dict(items));
            }
            0x85..=0x87 => {
                let mut entries = Vec::with_capacity(3);
                for _ in 0x85..=opcode {
                    entries.insert(0, self.pop()?);
                }
                self.push(Value::Tuple(entries));
            }
            b'a' => {
                let entry = self.pop()?;
                self.extend(&[entry])?;
            }
            b'e' | 0x90 => {
                let entries = self.pop_to_mark()?;
                self.extend(&entries)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[(key, value)])?;
            }
            b'u' => {
                let entries = self.pop_to_mark()?;
                let items = self.pairs(&entries)?;
                self.set_items(&items)?;
            }

            // Classes, functions and what would be made with them.
            b'c' => {
                let (module, name) = self.global_lines()?;
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.global(module, name)?;
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.call(callable, arguments)?;
            }
            0x92 => {
                let (_named, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callable, arguments)?;
            }
            b'o' => {
                let mut entries = self.pop_to_mark()?;
                if entries.is_empty() {
                    return Err(self.wrong("makes an object of no class"));
                }
                let callable = entries.remove(0);
                let arguments = self.values.push(Value::Tuple(entries));
                self.call(callable, arguments)?;
            }
            b'i' => {
                let (module, name) = self.global_lines()?;
                let entries = self.pop_to_mark()?;
                self.global(module, name)?;
                let callable = self.pop()?;
                let arguments = self.values.push(Value::Tuple(entries));
                self.call(callable, arguments)?;
            }
            b'b' => {
                let state = self.pop()?;
                let object = self.top()?;
                // Attributes of what is not an object, as those that are set on dicts, are of no use here.
                if let Value::Call(call) = self.values.get_mut(object) {
                    call.state = Some(state);
                }
            }
            b'P' => {
                let line = self.line()?;
                let id = self.values.push(text(Cow::Borrowed(line)));
                self.push(Value::Persistent(id));
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Persistent(id));
            }
            other => {
                return Err(self.wrong(format!("has opcode {other:#04x}: expected one that Python writes for data")));
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
