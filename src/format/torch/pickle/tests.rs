use super::{super::value::Id, *};

fn read(source: &[u8]) -> Result<Values<'_>, TorchError> {
    read_pickle(source, Path::new("p")).map(|(values, _)| values)
}

/// A value as Python would print it, if nothing is inside of itself.
fn shown(values: &Values<'_>, id: Id) -> String {
    let all = |ids: &[Id]| ids.iter().map(|&id| shown(values, id)).collect::<Vec<_>>().join(", ");
    let pairs = |items: &[(Id, Id)]| {
        let pair = |&(key, value): &(Id, Id)| format!("{}: {}", shown(values, key), shown(values, value));
        items.iter().map(pair).collect::<Vec<_>>().join(", ")
    };
    match values.get(id) {
        Value::None => "None".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::LongInt => "long".to_owned(),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(text) => format!("{text:?}"),
        Value::Bytes(bytes) => format!("{bytes:?}"),
        Value::List(ids) => format!("[{}]", all(ids)),
        Value::Tuple(ids) => format!("({})", all(ids)),
        Value::Set(ids) => format!("<{}>", all(ids)),
        Value::Dict(items) => format!("{{{}}}", pairs(items)),
        Value::Global(global) => format!("{}.{}", global.module, global.name),
        Value::Call(call) => {
            let state = call.state.map(|state| format!(" with {}", shown(values, state))).unwrap_or_default();
            let (callable, arguments) = (shown(values, call.callable), shown(values, call.arguments));
            format!("{callable}{arguments}{{{}}}{state}", pairs(&call.items))
        }
        Value::Persistent(id) => format!("@{}", shown(values, *id)),
    }
}

fn show(source: &[u8]) -> String {
    let values = read(source).unwrap();
    shown(&values, values.root())
}

#[test]
fn every_opcode_of_data_is_understood() {
    for (source, expected) in [
        (
            &b"(lp0\nI01\naI00\naI-7\naL123456789012345678901L\naF-0.5\naNa."[..],
            "[true, false, -7, 123456789012345678901, -0.5, None]",
        ),
        (b"(S'it\\'s\\n\\x41'\nVl\\u00e4\\u005c\xe4\nt.", r#"("it's\nA", "lä\\ä")"#),
        (
            b"\x80\x02(K\xffM\x00\x01J\xff\xff\xff\xff\x8a\x02\x00\x80\x8a\x00G\x3f\xf8\0\0\0\0\0\0\x88\x89t.",
            "(255, 256, -1, -32768, 0, 1.5, true, false)",
        ),
        (b"\x8b\x11\0\0\0aaaaaaaaaaaaaaaaa.", "long"),
        (
            b"(U\x01aT\x01\0\0\0bX\x01\0\0\0c\x8c\x01d\x8d\x01\0\0\0\0\0\0\0eU\x01\xfft.",
            r#"("a", "b", "c", "d", "e", [255])"#,
        ),
        (b"(C\x01aB\x01\0\0\0b\x8e\x01\0\0\0\0\0\0\0c\x96\x01\0\0\0\0\0\0\0dl.", "[[97], [98], [99], [100]]"),
        (b")K\x01\x85K\x02K\x03\x86K\x04K\x05K\x06\x87\x87.", "((1), (2, 3), (4, 5, 6))"),
        (b"}(K\x01K\x02uK\x03K\x04s(dK\x05K\x06s\x86.", "({1: 2, 3: 4}, {5: 6})"),
        (b"\x80\x04\x95\0\0\0\0\0\0\0\0\x8f(K\x01K\x02\x90(K\x03\x91\x86.", "(<1, 2>, <3>)"),
        (b"]q\x05r\x07\0\0\0p9\n\x94(h\x05j\x07\0\0\0g9\nh\x03t.", "([], [], [], [])"),
        (b"K\x01K\x020(1K\x03(02\x87.", "(1, 3, 3)"),
        (b"cm\nC\n)R}K\x01K\x02sb.", "m.C(){} with {1: 2}"),
        (b"\x8c\x01m\x8c\x01C\x93K\x01\x85\x81(K\x01K\x02u.", "m.C(1){1: 2}"),
        (b"cm\nC\n)}\x92(cm\nD\nK\x01o(K\x02im\nE\n\x87.", "(m.C(){}, m.D(1){}, m.E(2){})"),
        (b"ccollections\nOrderedDict\n((K\x01K\x02l(K\x03K\x04ltR.", "collections.OrderedDict([1, 2], [3, 4]){}"),
        (
            b"ccollections\nOrderedDict\n(((K\x01K\x02l(K\x03K\x04lltR.",
            "collections.OrderedDict([[1, 2], [3, 4]]){1: 2, 3: 4}",
        ),
        (b"Pa b\nK\x01Q\x86.", r#"(@"a b", @1)"#),
    ] {
        assert_eq!(show(source), expected, "{}", source.escape_ascii());
    }
}

#[test]
fn what_no_pickler_writes_is_an_error_with_its_place() {
    for (source, offset, expected) in [
        (&b""[..], 0, "begins a value that ends behind the pickle"),
        (b"\x80\x06.", 0, "begins protocol 6: expected 0 to 5"),
        (b"N0.", 2, "needs a value where there is none"),
        (b"N(0", 3, "begins a value that ends behind the pickle"),
        (b"N(t(\x85", 4, "needs a value where there is none"),
        (b"t", 0, "ends a container that has no beginning"),
        (b"}(NNNu", 5, "has a key without a value"),
        (b"NNa", 2, "appends to a value of type None: expected a list or set"),
        (b"]NNs", 3, "sets an item of a value of type list: expected a dict"),
        (b"h\x03", 0, "recalls value 3, which was never noted"),
        (b"NN\x93", 2, "names a class by a value of type None: expected a text"),
        (b"cm\nC\nNR", 6, "makes an object from what is not a tuple"),
        (b"(o", 1, "makes an object of no class"),
        (b"I1_0\n", 0, "has no number: expected one in decimal digits"),
        (b"S'a\n", 0, "has a text without quotation marks"),
        (b"S'\\x4'\n", 0, "has an unfinished escape"),
        (b"Iendless", 0, "begins a line that does not end"),
        (b"X\xff\xff\xff\xffa", 0, "begins a value that ends behind the pickle"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa", 0, "begins a value that ends behind the pickle"),
        (b"\x82\x01.", 0, "has opcode 0x82: expected one that Python writes for data"),
        (b"\x97.", 0, "has opcode 0x97: expected one that Python writes for data"),
    ] {
        let refused = read(source).err().map(|error| error.to_string());
        let expected = format!("`p` is not valid: byte {offset} of its pickle {expected}");
        assert_eq!(refused, Some(expected), "{}", source.escape_ascii());
    }
}

#[test]
fn code_is_refused_however_it_is_named() {
    for source in [
        &b"cos\nsystem\n(S'ls'\ntR."[..],
        b"(S'ls'\nios\nsystem\n.",
        b"(cos\nsystem\nS'ls'\no.",
        b"\x8c\x02os\x8c\x06system\x93.",
        b"Vo\\u0073\nVsystem\n\x93.",
        b"\x8c\x06systemq\x000\x8c\x02osh\x00\x93.",
    ] {
        let refused = read(source).unwrap_err();
        assert!(matches!(&refused, TorchError::Forbidden { callable, .. } if callable == "os.system"), "{refused}");
    }
}

#[test]
fn no_depth_and_no_circle_takes_the_stack() {
    let deep = [&b"]".repeat(500_000)[..], &b"a".repeat(499_999), b"."].concat();
    let values = read(&deep).unwrap();
    assert_eq!(values.sequence(values.root()).unwrap().len(), 1);
    let deep = [&b"N"[..], &b"\x85".repeat(500_000), b"."].concat();
    assert_eq!(read(&deep).unwrap().sequence(read(&deep).unwrap().root()).unwrap().len(), 1);
    let values = read(b"]q\x00h\x00a.").unwrap();
    assert_eq!(values.sequence(values.root()), Some(&[values.root()][..]));
}

#[test]
fn a_pickle_that_goes_on_and_on_is_stopped() {
    let endless = b"N".repeat(MOST_STEPS + 1);
    assert!(read(&endless).unwrap_err().to_string().ends_with("has a pickle of more steps: expected at most 2097152"));
    // A list that is copied into a dict each time that it is named.
    let pairs = [&b"("[..], &b"NN\x86".repeat(1000), b"l\x85q\x000ccollections\nOrderedDict\nq\x010"].concat();
    let copies = [&pairs[..], &b"h\x01h\x00R".repeat(3000)].concat();
    assert!(matches!(read(&copies).unwrap_err(), TorchError::TooLarge { .. }));
}
