//! The machine that a pickle is a program for: its stack, its memo, and what its steps have in common.
//!
//! Owns what bounds it; which opcode does what is `pickle.rs`'s matter.

use super::{
    super::{
        error::TorchError,
        forbidden::is_forbidden,
        value::{Call, Global, Id, Value, Values},
    },
    MOST_STEPS,
};
use std::{borrow::Cow, collections::HashMap, path::Path};

pub(super) struct Machine<'a> {
    pub(super) source: &'a [u8],
    pub(super) path: &'a Path,
    pub(super) at: usize,
    /// Where the present step begins.
    pub(super) step_at: usize,
    pub(super) steps_left: usize,
    pub(super) values: Values<'a>,
    pub(super) stack: Vec<Id>,
    /// Heights of the stack, above which the entries of an unfinished container are.
    pub(super) marks: Vec<usize>,
    pub(super) memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(source: &'a [u8], path: &'a Path) -> Self {
        Self {
            source,
            path,
            at: 0,
            step_at: 0,
            steps_left: MOST_STEPS,
            values: Values::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    pub(super) fn wrong(&self, message: impl Into<String>) -> TorchError {
        TorchError::Pickle { path: self.path.to_owned(), offset: self.step_at, message: message.into() }
    }

    pub(super) fn pay(&mut self, steps: usize) -> Result<(), TorchError> {
        let left = self.steps_left.checked_sub(steps);
        self.steps_left = left.ok_or_else(|| TorchError::too_large(self.path, "a pickle of more steps", MOST_STEPS))?;
        Ok(())
    }

    pub(super) fn bytes(&mut self, length: u64) -> Result<&'a [u8], TorchError> {
        let rest = &self.source[self.at..];
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let taken = taken.ok_or_else(|| self.wrong("begins a value that ends behind the pickle"))?;
        self.at += taken.len();
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], TorchError> {
        Ok(self.bytes(N as u64)?.try_into().expect("as many as asked for"))
    }

    pub(super) fn u32(&mut self) -> Result<u32, TorchError> {
        self.array().map(u32::from_le_bytes)
    }

    /// The length before a text or bytes, by the opcode's width of it.
    pub(super) fn length(&mut self, opcode: u8) -> Result<u64, TorchError> {
        match opcode {
            b'U' | b'C' | 0x8c => Ok(self.bytes(1)?[0].into()),
            0x8d | 0x8e | 0x96 => self.array().map(u64::from_le_bytes),
            _ => self.u32().map(Into::into),
        }
    }

    /// The bytes up to the end of a line, without it.
    pub(super) fn line(&mut self) -> Result<&'a [u8], TorchError> {
        let rest = &self.source[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let end = end.ok_or_else(|| self.wrong("begins a line that does not end"))?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    pub(super) fn global_lines(&mut self) -> Result<(Cow<'a, str>, Cow<'a, str>), TorchError> {
        let mut name = || {
            let line = self.line()?;
            std::str::from_utf8(line).map(Cow::Borrowed).map_err(|_| self.wrong("has a name that is not UTF-8"))
        };
        Ok((name()?, name()?))
    }

    pub(super) fn memo_key(&mut self) -> Result<u32, TorchError> {
        let line = self.line()?;
        let key = std::str::from_utf8(line).ok().and_then(|text| text.trim().parse().ok());
        key.ok_or_else(|| self.wrong("has no number of an earlier value"))
    }

    pub(super) fn push(&mut self, value: Value<'a>) {
        let id = self.values.push(value);
        self.stack.push(id);
    }

    /// The top of the stack, above the last mark.
    pub(super) fn top(&self) -> Result<Id, TorchError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack[floor..].last().copied();
        top.ok_or_else(|| self.wrong("needs a value where there is none"))
    }

    pub(super) fn pop(&mut self) -> Result<Id, TorchError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    pub(super) fn pop_text(&mut self) -> Result<Cow<'a, str>, TorchError> {
        let id = self.pop()?;
        match self.values.get(id) {
            // A text without escapes is borrowed, and one with them takes at most as much as its line.
            Value::Text(Cow::Borrowed(text)) => Ok(Cow::Borrowed(*text)),
            Value::Text(Cow::Owned(text)) if text.len() <= 256 => Ok(Cow::Owned(text.clone())),
            other => {
                let message = format!("names a class by a value of type {}: expected a text", other.kind());
                Err(self.wrong(message))
            }
        }
    }

    pub(super) fn pop_to_mark(&mut self) -> Result<Vec<Id>, TorchError> {
        let mark = self.marks.pop().ok_or_else(|| self.wrong("ends a container that has no beginning"))?;
        Ok(self.stack.split_off(mark))
    }

    pub(super) fn pairs(&self, entries: &[Id]) -> Result<Vec<(Id, Id)>, TorchError> {
        match entries.as_chunks::<2>() {
            (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
            _ => Err(self.wrong("has a key without a value")),
        }
    }

    pub(super) fn memoize(&mut self, key: u32) -> Result<(), TorchError> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    pub(super) fn recall(&mut self, key: u32) -> Result<(), TorchError> {
        let Some(&id) = self.memo.get(&key) else {
            return Err(self.wrong(format!("recalls value {key}, which was never noted")));
        };
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn extend(&mut self, entries: &[Id]) -> Result<(), TorchError> {
        let container = self.top()?;
        match self.values.get_mut(container) {
            Value::List(list) | Value::Set(list) => list.extend(entries),
            // The entries of an object of an unknown class are as unknown.
            Value::Call(_) => {}
            other => {
                let message = format!("appends to a value of type {}: expected a list or set", other.kind());
                return Err(self.wrong(message));
            }
        }
        Ok(())
    }

    pub(super) fn set_items(&mut self, items: &[(Id, Id)]) -> Result<(), TorchError> {
        let container = self.top()?;
        match self.values.get_mut(container) {
            Value::Dict(dict) => dict.extend(items),
            Value::Call(call) => call.items.extend(items),
            other => {
                let message = format!("sets an item of a value of type {}: expected a dict", other.kind());
                return Err(self.wrong(message));
            }
        }
        Ok(())
    }

    pub(super) fn global(&mut self, module: Cow<'a, str>, name: Cow<'a, str>) -> Result<(), TorchError> {
        if is_forbidden(&module, &name) {
            let callable = format!("{module}.{name}");
            return Err(TorchError::Forbidden { path: self.path.to_owned(), callable });
        }
        self.push(Value::Global(Box::new(Global { module, name })));
        Ok(())
    }

    pub(super) fn call(&mut self, callable: Id, arguments: Id) -> Result<(), TorchError> {
        let Value::Tuple(given) = self.values.get(arguments) else {
            return Err(self.wrong("makes an object from what is not a tuple"));
        };
        let mut items = Vec::new();
        // Python 2 made these from a list of pairs.
        if let (Some(("collections", "OrderedDict")), &[list]) = (self.values.global(callable), given.as_slice()) {
            self.pay(self.values.sequence(list).map_or(0, <[Id]>::len))?;
            let entries = self.values.sequence(list).unwrap_or_default().iter();
            items.extend(entries.filter_map(|&entry| match self.values.sequence(entry) {
                Some(&[key, value]) => Some((key, value)),
                _ => None,
            }));
        }
        self.push(Value::Call(Box::new(Call { callable, arguments, items, state: None })));
        Ok(())
    }
}
