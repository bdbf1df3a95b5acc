//! Tables as they are distributed, and files that are none.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<LabelTable, AtlasError> {
    LabelTable::parse(Path::new("a.tsv"), text.as_bytes())
}

fn names(table: &LabelTable) -> Vec<(i32, &str)> {
    table.entries.iter().map(|entry| (entry.index, entry.name.as_str())).collect()
}

const XML: &str = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<atlas version=\"1.0\">\n<header>\n\
    <name>Cortex in two</name>\n<type>Probabalistic</type>\n</header>\n<data>\n<!-- regions -->\n\
    <label index=\"0\" x=\"48\" y=\"94\" z=\"35\">Frontal Pole</label>\n\
    <label index=\"1\" x=\"25\" y=\"70\" z=\"32\">\nHeschl's Gyrus &amp; more </label>\n</data>\n</atlas>\n";

#[test]
fn tables_with_a_header_are_read() {
    for (text, expected) in [
        ("index\tname\n1\tV1\n2\tV 2\n", vec![(1, "V1"), (2, "V 2")]),
        ("\u{feff}index\tname\r\n1\tV1\r\n\r\n2\tV2", vec![(1, "V1"), (2, "V2")]),
        ("index\tlabel\tnetwork_label\n1\tLH_Vis_1\tVis\n", vec![(1, "LH_Vis_1")]),
        ("Name\tIndex\nV1\t7.0\n", vec![(7, "V1")]),
        ("label\tname\n17\tHippocampus\n", vec![(17, "Hippocampus")]),
        ("component\tdifumo_names\tyeo_networks7\n1\tFusiform gyrus\tVisCent\n", vec![(1, "Fusiform gyrus")]),
        ("index\tname\tlabel\n100001\tA\tx\n", vec![(100_001, "A")]),
    ] {
        let table = parse(text).unwrap();
        assert_eq!(table.format, TableFormat::Tsv);
        assert_eq!(names(&table), expected, "{text}");
    }
}

#[test]
fn colors_are_read_in_every_spelling() {
    for (text, expected) in [
        ("index\tname\tcolor\n1\ta\t#781286\n", Some("#781286")),
        ("index\tname\tcolor\n1\ta\t#ABCDEFff\n", Some("#abcdef")),
        ("index\tname\tcolour\n1\ta\t255, 0,16\n", Some("#ff0010")),
        ("index\tname\tr\tg\tb\n1\ta\t1\t2\t255\n", Some("#0102ff")),
        ("index\tname\tcolor\n1\ta\tn/a\n", None),
        ("1 a 120 18 134 0\n", Some("#781286")),
        ("1 a 120 18 134\n", Some("#781286")),
    ] {
        assert_eq!(parse(text).unwrap().entries[0].color.as_deref(), expected, "{text}");
    }
}

#[test]
fn color_tables_are_read() {
    let yeo = "  0            NONE   0   0   0   0\n  1     7Networks_1 120  18 134   0\n  2     7Networks_2  70 130 180   0\n";
    let schaefer = "1\t7Networks_LH_Vis_1\t120\t18\t131\t0\r\n2\t7Networks_LH_Vis_2\t120\t18\t132\t0\r\n";
    let freesurfer = "#No. Label Name:   R G B A\n\n17  Left-Hippocampus  220 216 20 0\n# end\n";
    let spaced = "44 Brodmann area 44 1 2 3 0\n45 Brodmann area 45 4 5 6 0\n";
    for (text, expected) in [
        (yeo, vec![(0, "NONE"), (1, "7Networks_1"), (2, "7Networks_2")]),
        (schaefer, vec![(1, "7Networks_LH_Vis_1"), (2, "7Networks_LH_Vis_2")]),
        (freesurfer, vec![(17, "Left-Hippocampus")]),
        (spaced, vec![(44, "Brodmann area 44"), (45, "Brodmann area 45")]),
    ] {
        let table = parse(text).unwrap();
        assert_eq!((table.format, names(&table)), (TableFormat::ColorTable, expected), "{text}");
    }
    assert_eq!(parse(yeo).unwrap().labels().unwrap().len(), 2);
}

#[test]
fn fsl_atlases_count_volumes_from_0_and_labels_from_1() {
    let table = parse(XML).unwrap();
    assert_eq!((table.format, table.meaning), (TableFormat::FslXml, IndexMeaning::Map));
    assert_eq!(table.title.as_deref(), Some("Cortex in two"));
    assert_eq!(names(&table), [(0, "Frontal Pole"), (1, "Heschl's Gyrus & more")]);
    let indices = |entries: Vec<LabelEntry>| entries.iter().map(|entry| entry.index).collect::<Vec<i32>>();
    assert_eq!(indices(table.labels().unwrap()), [1, 2]);
    assert_eq!(indices(table.maps(Path::new("p.nii"), 2).unwrap()), [0, 1]);
    assert_eq!(table.entries.iter().map(|entry| entry.line).collect::<Vec<u64>>(), [9, 10]);

    let of_labels = parse(&XML.replace("Probabalistic", "Label")).unwrap();
    assert_eq!(indices(of_labels.labels().unwrap()), [1]);
    let unsaid = parse(&XML.replace("<type>Probabalistic</type>", "")).unwrap();
    assert_eq!(unsaid.maps(Path::new("p.nii"), 2).unwrap().len(), 2);
    let error = unsaid.labels().unwrap_err().to_string();
    assert!(error.contains("has no `<type>`: add `<type>Label</type>`"), "{error}");
}

#[test]
fn defective_xml_is_told() {
    let bomb = "<!DOCTYPE b [<!ENTITY a \"aaaa\"><!ENTITY c \"&a;&a;&a;&a;\">]><atlas><data><label index=\"0\">&c;</label></data></atlas>";
    let deep = format!("<atlas><data>{}", "<label>".repeat(200_000));
    let many = format!("<atlas><data>{}</data></atlas>", "<a/>".repeat(MAX_NODES_TESTED));
    for (text, expected) in [
        (bomb, "a.tsv` is not readable as an FSL atlas: XML with DTD detected"),
        (deep.as_str(), "is not readable as an FSL atlas"),
        (many.as_str(), "nodes limit reached"),
        ("<svg/>", "its root is `<svg>`, expected `<atlas>` with `<data>` inside"),
        ("<atlas><data/></atlas>", "it has no `<label>`"),
        ("<atlas><data>\n<label>a</label></data></atlas>", "`a.tsv` line 2: `<label>` has no attribute `index`"),
        (
            "<atlas><data><label index=\"-1\">a</label></data></atlas>",
            "`index` is `-1`, expected a whole number from 0",
        ),
        ("<atlas><data><label index=\"1\"/></data></atlas>", "label 1 has no name"),
        ("<data><label index=\"1\">a</label><label index=\"1\">b</label></data>", "line 1 describes label 1 again"),
        (
            "<atlas><header><type>Statistic</type></header><data><label index=\"1\">a</label></data></atlas>",
            "its type is `Statistic`",
        ),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// One more than a document may have.
const MAX_NODES_TESTED: usize = (1 << 20) + 1;

#[test]
fn latin_1_is_read_where_it_is_declared() {
    let bytes: Vec<u8> = XML.replace("Pole", "P\u{f4}le").chars().map(|character| character as u8).collect();
    let table = LabelTable::parse(Path::new("a.xml"), &bytes).unwrap();
    assert_eq!(table.entries[0].name, "Frontal P\u{f4}le");
    let undeclared = XML.replace("ISO-8859-1", "UTF-8").replace("Pole", "P\u{f4}le");
    let bytes: Vec<u8> = undeclared.chars().map(|character| character as u8).collect();
    let error = LabelTable::parse(Path::new("a.xml"), &bytes).unwrap_err().to_string();
    assert!(error.contains("neither UTF-8 nor declared as ISO-8859-1"), "{error}");
}

#[test]
fn files_that_are_no_tables_show_their_first_line() {
    let header = "as TSV its header needs columns `index` and `name`, optionally `network` and `color`";
    let numbers =
        "as colour table its lines need an index, a name and three or four numbers from 0 to 255, the first has";
    assert_eq!(
        parse("\n1\tV1\n2\tV2\n").unwrap_err().to_string(),
        format!("`a.tsv` is no table of labels, it begins `1 V1`: {header}; {numbers} 2 fields")
    );
    // A header whose tab was lost, as in one published table.
    assert_eq!(
        parse("indexname\n1\tL_V1\n").unwrap_err().to_string(),
        format!("`a.tsv` is no table of labels, it begins `indexname`: {header}; {numbers} 1 fields")
    );
    for (text, expected) in [
        ("index,name\n1,V1\n", "separated by tabs and not by commas"),
        ("{\"index\": 1}", "it is JSON, which describes the columns: name the table beside it"),
        ("\u{1f}\0\0", "it is binary: name the image as labels and the text beside it as table"),
        ("1 2 3 4 5\n2 3 4 5 6\n", "as colour table its names must be more than numbers"),
        ("", "begins ``: as TSV its header needs columns"),
        ("onset\tduration\n1\t2\n", "it begins `onset duration`"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn defects_below_a_good_first_line_are_told_as_such() {
    for (text, expected) in [
        ("index\tname\n1\tV1\n1\tV2\n", "line 3 describes label 1 again"),
        ("index\tname\n1\tV1\n2\n", "line 3 has 1 fields, expected 2"),
        ("index\tname\nx\tV1\n", "column `index`: `x`, expected a whole number"),
        ("index\tname\n1\tn/a\n", "column `name`: `n/a`, expected the name of a parcel"),
        ("index\tcolor\n1\t#000000\n", "has no column `name`: its columns are `index`, `color`"),
        ("label\tname\na\tV1\n", "has no column `index`: its columns are `label`, `name`"),
        (
            "label\tvalue\tname\n1\t2\tV1\n",
            "several columns that could hold the label: `value`, `label`; call the one that does `index`",
        ),
        ("index\tname\tcolor\n1\tV1\tred\n", "column `color`: `red`, expected a colour such as `#4682b4`"),
        ("index\tname\tr\tg\tb\n1\tV1\t0\t0\t256\n", "column `b`: `256`, expected a whole number from 0 to 255"),
        ("1 a 0 0 0 0\n2 b 0 0 300 0\n", "line 2: `2 b 0 0 300 0` is not index, name, red, green, blue, alpha"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn maps_are_counted_from_0_or_from_1() {
    let counts = |text: &str, n_maps: usize| {
        let maps = parse(&format!("index\tname\n{text}")).unwrap().maps(Path::new("p.nii"), n_maps);
        maps.map(|maps| maps.iter().map(|entry| (entry.index, entry.name.clone())).collect::<Vec<_>>())
    };
    let expected = vec![(0, "a".to_owned()), (1, "b".to_owned())];
    assert_eq!(counts("0\ta\n1\tb\n", 2).unwrap(), expected);
    assert_eq!(counts("2\tb\n1\ta\n", 2).unwrap(), expected);
    assert_eq!(counts("0\tBackground\n1\ta\n2\tb\n", 2).unwrap(), expected);
    for (text, n_maps) in [("1\ta\n2\tb\n", 3), ("1\ta\n3\tb\n", 2), ("2\ta\n3\tb\n", 2), ("", 1), ("-1\ta\n", 1)] {
        let error = counts(text, n_maps).unwrap_err().to_string();
        assert!(error.contains("expected one row for each map, numbered from 0 or from 1"), "{error}");
    }
}

#[test]
fn the_largest_index_of_a_probabilistic_atlas_is_refused() {
    let text = XML.replace("index=\"1\"", "index=\"2147483647\"");
    let error = parse(&text).unwrap().labels().unwrap_err().to_string();
    assert!(error.contains("index 2147483647 leaves no room"), "{error}");
}

proptest! {
    #[test]
    fn mutated_tables_never_panic(
        choice in 0_usize..3,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let original = [
            XML,
            "index\tname\tnetwork\tcolor\n1\tV1\tvisual\t#781286\n2\tA1\tn/a\t1,2,3\n",
            "0 NONE 0 0 0 0\n1 7Networks_1 120 18 134 0\n",
        ][choice];
        let mut bytes = original.as_bytes().to_vec();
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(table) = LabelTable::parse(Path::new("a"), &bytes) {
            let _ = (table.labels(), table.maps(Path::new("b"), 2), table.network_column());
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = LabelTable::parse(Path::new("a"), &bytes);
    }
}
