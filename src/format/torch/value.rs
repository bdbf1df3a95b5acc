//! What a pickle describes, as plain data. Owns the values and how they refer to each other; knows neither opcodes nor
//! tensors: `pickle.rs` makes them, `state.rs` and `settings.rs` read them.
//!
//! Values stand side by side in one list and name each other by number, so that shared and cyclic ones cost nothing more and
//! no depth of nesting is a depth of calls.

use std::borrow::Cow;

/// A value's place among all of one pickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u32);

/// One value.
#[derive(Debug)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i128),
    /// An integer that is longer than any size or count.
    LongInt,
    Float(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function by name. It is never looked up.
    Global(Box<Global<'a>>),
    /// What a program would get by calling something. Nothing is called.
    Call(Box<Call>),
    /// Something that is kept outside of the pickle.
    Persistent(Id),
}

/// The name of a class or function.
#[derive(Debug)]
pub(super) struct Global<'a> {
    pub(super) module: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
}

/// What is known of an object without making it.
#[derive(Debug)]
pub(super) struct Call {
    /// The class or function.
    pub(super) callable: Id,
    /// A tuple.
    pub(super) arguments: Id,
    /// Keys and values that are put into the object, as into a dict.
    pub(super) items: Vec<(Id, Id)>,
    /// The attributes that the object is given.
    pub(super) state: Option<Id>,
}

/// All values of one pickle.
#[derive(Debug)]
pub(super) struct Values<'a> {
    all: Vec<Value<'a>>,
    root: Id,
}

impl<'a> Values<'a> {
    pub(super) fn new() -> Self {
        Self { all: Vec::new(), root: Id(0) }
    }

    /// Adds a value. There are fewer of them than a pickle may have steps, which is far from what an [`Id`] counts.
    pub(super) fn push(&mut self, value: Value<'a>) -> Id {
        let id = Id(u32::try_from(self.all.len()).expect("the count of steps bounds the values"));
        self.all.push(value);
        id
    }

    pub(super) fn set_root(&mut self, root: Id) {
        self.root = root;
    }

    /// The value that the whole pickle is.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn get(&self, id: Id) -> &Value<'a> {
        &self.all[id.0 as usize]
    }

    pub(super) fn get_mut(&mut self, id: Id) -> &mut Value<'a> {
        &mut self.all[id.0 as usize]
    }

    /// All values that are kept outside of the pickle.
    pub(super) fn persistent(&self) -> impl Iterator<Item = Id> {
        let is_outside = |(_, value): &(u32, &Value<'_>)| matches!(value, Value::Persistent(_));
        (0..).zip(&self.all).filter(is_outside).map(|(place, _)| Id(place))
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An integer that is not negative.
    pub(super) fn size(&self, id: Id) -> Option<u64> {
        match self.get(id) {
            Value::Int(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The entries of a list or tuple.
    pub(super) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::List(entries) | Value::Tuple(entries) => Some(entries),
            _ => None,
        }
    }

    pub(super) fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.get(id) {
            Value::Global(global) => Some((&global.module, &global.name)),
            _ => None,
        }
    }

    /// The name and arguments of a call of something that has a name.
    pub(super) fn call(&self, id: Id) -> Option<((&str, &str), &[Id])> {
        match self.get(id) {
            Value::Call(call) => Some((self.global(call.callable)?, self.sequence(call.arguments)?)),
            _ => None,
        }
    }

    /// The entry of a dict by its name; of two with the same name the later.
    pub(super) fn entry(&self, items: &[(Id, Id)], name: &str) -> Option<Id> {
        items.iter().rev().find(|(key, _)| self.text(*key) == Some(name)).map(|&(_, value)| value)
    }

    /// Keys and values of anything that is a dict by what is known of it: dicts and their subclasses, objects of TorchScript
    /// modules, plain namespaces.
    pub(super) fn mapping(&self, id: Id) -> Option<&[(Id, Id)]> {
        let call = match self.get(id) {
            Value::Dict(items) => return Some(items),
            Value::Call(call) => call,
            _ => return None,
        };
        let is_attributes = self.global(call.callable).is_some_and(|(module, name)| {
            module.split('.').next() == Some("__torch__")
                || matches!((module, name), ("argparse", "Namespace") | ("types", "SimpleNamespace"))
        });
        match call.state.map(|state| self.get(state)) {
            Some(Value::Dict(attributes)) if is_attributes => Some(attributes),
            None if is_attributes => Some(&[]),
            _ if !call.items.is_empty() || self.is_empty_dict(call) => Some(&call.items),
            _ => None,
        }
    }

    fn is_empty_dict(&self, call: &Call) -> bool {
        let dicts = [("collections", "OrderedDict"), ("collections", "defaultdict")];
        self.global(call.callable).is_some_and(|name| dicts.contains(&name))
    }

    /// The name of an object's class, or of the function that would make it.
    pub(super) fn class(&self, id: Id) -> String {
        let name = |id| self.global(id).map(|(module, name)| format!("{module}.{name}"));
        match self.get(id) {
            Value::Call(call) => match self.global(call.callable) {
                // Python 2 made objects through this function.
                Some(("copy_reg" | "copyreg", "_reconstructor")) => {
                    self.sequence(call.arguments).and_then(|arguments| name(*arguments.first()?))
                }
                _ => name(call.callable),
            }
            .unwrap_or_else(|| "a class without a name".to_owned()),
            Value::Global(_) => name(id).unwrap_or_default(),
            other => other.kind().to_owned(),
        }
    }
}

impl Value<'_> {
    /// What Python calls such a value.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::LongInt => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Set(_) => "set",
            Self::Dict(_) => "dict",
            Self::Global(_) => "class",
            Self::Call(_) => "object",
            Self::Persistent(_) => "storage",
        }
    }
}
