//! A model whose streams look at each other: its four modules are tasks of their own, and an edit of one reruns it and not the
//! others.

use super::{
    bench::Bench,
    edits::{FITS, PATTERN_FITS, TRUTH, edits},
};

/// What follows from another fusion: the towers below it are exported again and come out as before, and so do the brains, which
/// they drive.
const FUSION: &str = "weights export extract/meter/fusion-* series/meter/fusion-* pattern simulate encode/*/fusion-*";

edits! {
    Bench::meter();

    another_architecture_reruns_all_but_the_scenes: "models.*.random.architecture",
        ["architecture = \"meter\"" -> "architecture = \"clip\""]
        ["fusion = { layers = 1, width = 24, heads = 2, mlp_width = 48 }" -> ""]
        ["module = \"image\"" -> "module = \"vision\""]
        computes "weights export extract series pattern simulate mask bold", FITS, TRUTH;
    more_fusion_reruns_no_tower: "models.*.random.fusion.layers", ["fusion = { layers = 1" -> "fusion = { layers = 2"]
        computes FUSION, PATTERN_FITS, TRUTH;
    a_wider_fusion_reruns_no_tower: "models.*.random.fusion.width", ["width = 24" -> "width = 20"] computes FUSION, PATTERN_FITS, TRUTH;
    heads_of_the_fusion_rerun_no_tower: "models.*.random.fusion.heads", ["width = 24, heads = 2" -> "width = 24, heads = 3"]
        computes FUSION, PATTERN_FITS, TRUTH;
    what_comes_after_the_last_unit_reruns_no_extraction: "models.*.random.fusion.mlp_width",
        ["mlp_width = 48" -> "mlp_width = 40"] computes "weights export";
    only_the_towers_are_asked_for: "models.*.modules",
        ["[models.meter.random]" -> "[models.meter]\nmodules = [\"image\", \"text\"]\n[models.meter.random]"]
        computes "pattern simulate mask bold", PATTERN_FITS, TRUTH;
}
