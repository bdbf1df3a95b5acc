//! Callables that no honest checkpoint names. Owns the list; knows nothing of pickles.
//!
//! Nothing of a checkpoint is ever run here, so that the list protects not this program but the person: a file that names one
//! of these was made to harm whoever opens it in Python, and its weights deserve no more trust than that.

/// Packages of which nothing belongs into a checkpoint.
const PACKAGES: [&str; 32] = [
    "os",
    "posix",
    "nt",
    "posixpath",
    "ntpath",
    "subprocess",
    "sys",
    "shutil",
    "socket",
    "socketserver",
    "asyncio",
    "multiprocessing",
    "importlib",
    "imp",
    "runpy",
    "pkgutil",
    "pty",
    "webbrowser",
    "antigravity",
    "ctypes",
    "cffi",
    "pickle",
    "_pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "pdb",
    "bdb",
    "urllib",
    "pip",
];

/// Modules of which the same is true, but whose names somebody's own package may have, with modules in it.
const MODULES: [&str; 9] =
    ["code", "codeop", "commands", "timeit", "platform", "tempfile", "requests", "http.client", "http.server"];

/// Names of the built-in module that run, look up or change what is given to them.
const BUILT_INS: [&str; 18] = [
    "eval",
    "exec",
    "execfile",
    "compile",
    "open",
    "file",
    "input",
    "getattr",
    "setattr",
    "delattr",
    "__import__",
    "__build_class__",
    "apply",
    "breakpoint",
    "globals",
    "locals",
    "vars",
    "map",
];

/// Single callables of modules that are otherwise harmless.
const CALLABLES: [(&str, &str); 15] = [
    ("operator", "attrgetter"),
    ("operator", "methodcaller"),
    ("_operator", "attrgetter"),
    ("_operator", "methodcaller"),
    ("types", "FunctionType"),
    ("types", "CodeType"),
    ("types", "LambdaType"),
    ("torch", "load"),
    ("torch.serialization", "load"),
    ("torch.hub", "load"),
    ("torch.jit", "load"),
    ("numpy", "load"),
    ("joblib", "load"),
    ("numpy.testing._private.utils", "runstring"),
    ("linecache", "getline"),
];

/// Whether a program that unpickles `module.name` runs what the file's author chose.
pub(super) fn is_forbidden(module: &str, name: &str) -> bool {
    let package = module.split('.').next().unwrap_or(module);
    // Since protocol 4 a name may have dots, behind which any attribute of the module is found.
    let first = name.split('.').next().unwrap_or(name);
    match package {
        "builtins" | "__builtin__" | "__builtins__" => BUILT_INS.contains(&first) || name.contains('.'),
        _ => {
            PACKAGES.contains(&package)
                || MODULES.contains(&module)
                || CALLABLES.contains(&(module, name))
                || reaches_a_module(name)
        }
    }
}

/// Whether one of the attributes that a dotted name goes through is a package that is forbidden, as in `torch` `os.system`.
fn reaches_a_module(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(through, _)| through.split('.').any(|part| PACKAGES.contains(&part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_code_is_told_from_what_describes_weights() {
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("os.path", "join"),
            ("builtins", "eval"),
            ("__builtin__", "getattr"),
            ("builtins", "dict.fromkeys"),
            ("operator", "methodcaller"),
            ("torch", "os.system"),
            ("torch.serialization", "os.system"),
            ("code", "interact"),
            ("importlib.machinery", "SourceFileLoader"),
        ] {
            assert!(is_forbidden(module, name), "{module}.{name}");
        }
        for (module, name) in [
            ("torch", "FloatStorage"),
            ("torch._utils", "_rebuild_tensor_v2"),
            ("collections", "OrderedDict"),
            ("builtins", "set"),
            ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
            ("numpy.core.multiarray", "scalar"),
            ("__torch__.os", "Layer"),
            ("functools", "partial"),
            ("code.models", "Settings"),
        ] {
            assert!(!is_forbidden(module, name), "{module}.{name}");
        }
    }
}
