//! Every field of a study that made itself, edited: which tasks are computed again. All others are left alone.
//!
//! A row is a test: the field, what is written instead, the tasks that are computed. Tasks that follow from them and turn
//! out to have the same input as before are not computed; that is part of the claim. Fields of studies that read files
//! are in `files.rs`, `films.rs`, `pictures.rs` and `laboratory.rs`, those of a METER in `meter.rs`; `fields.rs` fails if a field
//! of the schema is in none.

use super::bench::{Bench, Ids};

/// What follows from new unit series or voxels: fits, what is asked of them, the report.
pub(super) const FITS: &str = "encode null prediction maps redundancy polarity report";
/// What follows from new patterns.
pub(super) const PATTERN_FITS: &str = "encode/*/patterns null prediction maps redundancy polarity report";
/// What is known of simulated subjects follows too.
pub(super) const TRUTH: &str = "recovery";
/// What follows from another test of voxels: layers are tested where they are fitted.
const TESTS: &str = "encode/*/layer-* null prediction maps recovery report";
/// What follows from new simulated brains.
const BRAINS: &str = "simulate mask bold";
/// What follows from another image tower; the text tower's export comes out as before.
const VISION: &str = "weights export extract/clip/vision/* series/clip/vision/* pattern";
/// What follows from another text tower.
const TEXT: &str = "weights export extract/clip/text/* series/clip/text/* pattern";
/// What follows from other units of both towers.
const UNITS: &str = "export extract series pattern";
/// What follows from another clock of the analysis; what drives the brains keeps its own.
const ANALYSIS: &str = "series/clip/vision/run-1 series/clip/vision/run-2 series/clip/vision/run-3 series/clip/vision/run-4 \
                        series/clip/text/run-1 series/clip/text/run-2 series/clip/text/run-3 series/clip/text/run-4 pattern";

/// One test for each row, and the list of the fields that the rows are about.
macro_rules! edits {
    ($bench:expr; $($name:ident: $field:literal, $([$from:literal -> $to:literal])+ computes $($words:expr),*;)*) => {
        /// The fields that are edited here.
        pub(super) const FIELDS: &[&str] = &[$($field),*];
        $(
            #[test]
            fn $name() {
                $crate::study::edits::check($bench, &[$(($from, $to)),+], &[$($words),*]);
            }
        )*
    };
}
pub(super) use edits;

/// Fails unless the edits make these tasks run, as planned, and leave nothing to do.
pub(super) fn check(bench: Option<Bench>, edits: &[(&str, &str)], words: &[&str]) {
    let Some(bench) = bench else { return };
    bench.edit(edits);
    let ran = bench.run();
    ran.assert_computed(&words.join(" "));
    let done: Ids = ran.computed.union(&ran.unchanged).cloned().collect();
    assert_eq!(ran.planned, done, "the plan lists what the run does");
    assert_eq!(bench.plan().to_run().into_keys().collect::<Vec<_>>(), Vec::<String>::new(), "nothing is left to do");
}

/// The tiny study, which has just run, beside a file that it may include.
fn tiny_beside_another() -> Option<Bench> {
    let bench = Bench::tiny()?;
    let included = "[study]\nname = \"base\"\n\n[statistics.redundancy]\nthreshold_sd = 1.0\n";
    std::fs::write(bench.folder().join("base.toml"), included).expect("writable");
    let families = "participant_id\tfamily\thousehold\nsub-01\ta\tx\nsub-02\tb\tx\nsub-03\tb\ty\n";
    std::fs::write(bench.folder().join("participants.tsv"), families).expect("writable");
    std::fs::write(bench.folder().join("clips.tsv"), "onset\tduration\n3\t30\n").expect("writable");
    Some(bench)
}

edits! {
    tiny_beside_another();

    // Other files. What they say counts as if it stood here.
    an_included_field_reruns_what_it_touches: "include", ["# The smallest study" -> "include = \"base.toml\"\n# "] computes "redundancy recovery report";
    without_it_an_included_field_reruns_nothing: "without",
        ["# The smallest study" -> "include = \"base.toml\"\nwithout = [\"statistics.redundancy.threshold_sd\"]\n# "] computes;

    // Sweeps. The first cell is the study as it was, so what runs is what the second has of its own.
    a_value_on_a_grid_runs_its_cell_only: "sweep.grid.*",
        ["[units]" -> "[sweep.grid]\n\"patterns.dictionary.n_patterns\" = [4, 5]\n\n[units]"]
        computes "pattern/clip@n_patterns=5 encode/*/patterns@n_patterns=5 null/*@n_patterns=5 prediction/*@n_patterns=5 maps/*@n_patterns=5 \
                  redundancy/*@n_patterns=5 polarity/*@n_patterns=5 recovery/*@n_patterns=5 report@n_patterns=5";
    zipped_values_run_together: "sweep.zip",
        ["[units]" -> "[[sweep.zip]]\n\"statistics.redundancy.seed\" = [0, 1]\n\"statistics.polarity.seed\" = [0, 1]\n\n[units]"]
        computes "redundancy/*seed=1 polarity/*seed=1 recovery/*seed=1 report@polarity.seed=1,redundancy.seed=1";
    an_excluded_cell_runs_nothing: "sweep.exclude",
        ["[units]" -> "[sweep.grid]\n\"patterns.dictionary.n_patterns\" = [4, 5]\n\n[[sweep.exclude]]\n\"patterns.dictionary.n_patterns\" = 5\n\n[units]"]
        computes;
    an_override_reruns_its_cells_only: "sweep.override",
        ["[units]" -> "[sweep.grid]\n\"statistics.polarity.seed\" = [0, 1]\n\n[[sweep.override]]\nwhen = { \"statistics.polarity.seed\" = 1 }\nset = { \"statistics.redundancy.threshold_sd\" = 1.0 }\n\n[units]"]
        computes "redundancy/*@seed=1 polarity/*@seed=1 recovery/*@seed=1 report@seed=1";

    // Runs. Made-up stimuli go by the place of a run, not by its name.
    renamed_training_runs_rerun_brains: "runs.train", [r#"["1", "2", "3"]"# -> r#"["2", "1", "3"]"#] computes BRAINS, FITS, TRUTH;
    a_renamed_test_run_reruns_brains: "runs.test", [r#"test = ["4"]"# -> r#"test = ["5"]"#] computes BRAINS, FITS, TRUTH;
    a_training_run_less_reruns_all_but_the_model: "runs.train", [r#"["1", "2", "3"]"# -> r#"["1", "2"]"#]
        computes "stimuli extract series pattern", BRAINS, FITS, TRUTH;

    // Stimuli. Captions follow from the seed alone.
    the_seed_of_scenes_reruns_all_but_the_model: "stimuli.generate.seed", ["seed = 1\n" -> "seed = 9\n"]
        computes "stimuli extract series pattern", BRAINS, FITS, TRUTH;
    more_scenes_rerun_all_but_the_model: "stimuli.generate.images_per_run", ["images_per_run = 12" -> "images_per_run = 13"]
        computes "stimuli extract series pattern", BRAINS, FITS, TRUTH;
    the_size_of_scenes_reruns_no_text: "stimuli.generate.image_size_px", ["image_size_px = 32" -> "image_size_px = 48"]
        computes "stimuli extract/clip/vision/* series/clip/vision/* pattern", BRAINS, FITS, TRUTH;
    a_longer_scene_reruns_no_extraction: "stimuli.generate.duration_s", ["duration_s = 2.0" -> "duration_s = 2.2"]
        computes "series pattern", BRAINS, FITS, TRUTH;
    a_longer_gap_reruns_no_extraction: "stimuli.generate.gap_s", ["gap_s = 1.0" -> "gap_s = 1.2"]
        computes "series pattern", BRAINS, FITS, TRUTH;
    a_longer_rest_reruns_no_extraction: "stimuli.generate.rest_s", ["rest_s = 6.0" -> "rest_s = 7.0"]
        computes "series pattern", BRAINS, FITS, TRUTH;

    // Model.
    the_seed_of_weights_reruns_all_but_the_scenes: "models.*.random.seed", ["seed = 2\n" -> "seed = 8\n"]
        computes "weights", UNITS, BRAINS, FITS, TRUTH;
    the_projection_reruns_no_extraction: "models.*.random.projection_dim", ["projection_dim = 16" -> "projection_dim = 8"]
        computes "weights export";
    vision_layers_rerun_no_text: "models.*.random.vision.layers", ["vision = { layers = 2" -> "vision = { layers = 3"]
        computes VISION, BRAINS, FITS, TRUTH;
    vision_width_reruns_no_text: "models.*.random.vision.width",
        ["vision = { layers = 2, width = 32" -> "vision = { layers = 2, width = 48"] computes VISION, BRAINS, FITS, TRUTH;
    vision_heads_rerun_no_text: "models.*.random.vision.heads",
        ["heads = 2, mlp_width = 64, image" -> "heads = 4, mlp_width = 64, image"] computes VISION, BRAINS, FITS, TRUTH;
    vision_mlp_width_reruns_no_text: "models.*.random.vision.mlp_width",
        ["mlp_width = 64, image" -> "mlp_width = 48, image"] computes VISION, BRAINS, FITS, TRUTH;
    vision_image_size_reruns_no_text: "models.*.random.vision.image_size",
        ["image_size = 32, patch" -> "image_size = 48, patch"] computes VISION, BRAINS, FITS, TRUTH;
    vision_patch_size_reruns_no_text: "models.*.random.vision.patch_size", ["patch_size = 16" -> "patch_size = 8"]
        computes VISION, BRAINS, FITS, TRUTH;
    text_layers_rerun_no_vision: "models.*.random.text.layers", ["text = { layers = 2" -> "text = { layers = 3"]
        computes TEXT, BRAINS, FITS, TRUTH;
    text_width_reruns_no_vision: "models.*.random.text.width",
        ["text = { layers = 2, width = 32" -> "text = { layers = 2, width = 48"] computes TEXT, BRAINS, FITS, TRUTH;
    text_heads_rerun_no_vision: "models.*.random.text.heads",
        ["heads = 2, mlp_width = 64, context" -> "heads = 4, mlp_width = 64, context"] computes TEXT, BRAINS, FITS, TRUTH;
    text_mlp_width_reruns_no_vision: "models.*.random.text.mlp_width",
        ["mlp_width = 64, context" -> "mlp_width = 48, context"] computes TEXT, BRAINS, FITS, TRUTH;
    text_context_length_reruns_no_vision: "models.*.random.text.context_length",
        ["context_length = 16" -> "context_length = 24"] computes TEXT, BRAINS, FITS, TRUTH;
    text_vocab_size_reruns_no_vision: "models.*.random.text.vocab_size", ["vocab_size = 600" -> "vocab_size = 620"]
        computes TEXT, BRAINS, FITS, TRUTH;
    a_module_less_reruns_no_extraction: "models.*.modules",
        ["[models.clip.random]" -> "[models.clip]\nmodules = [\"vision\"]\n[models.clip.random]"]
        ["language = { module = \"text\", layers = [1] }" -> ""] computes "pattern", BRAINS, FITS, TRUTH;
    modules_in_another_order_rerun_nothing: "models.*.modules",
        ["[models.clip.random]" -> "[models.clip]\nmodules = [\"text\", \"vision\"]\n[models.clip.random]"] computes;

    // Units.
    the_kind_of_units_reruns_all_but_weights_and_scenes: "units.kind", ["\"query-key\"" -> "\"mlp\""]
        computes UNITS, BRAINS, FITS, TRUTH;
    two_kinds_of_units_rerun_all_but_weights_and_scenes: "units.kind", ["\"query-key\"" -> "[\"query-key\", \"mlp\"]"]
        computes UNITS, BRAINS, FITS, TRUTH;
    a_list_of_one_kind_reruns_nothing: "units.kind", ["\"query-key\"" -> "[\"query-key\"]"] computes;
    the_reduction_of_units_reruns_all_but_weights_and_scenes: "units.reduce",
        ["\"query-key\"" -> "\"query-key\"\nreduce = \"max\""] computes UNITS, BRAINS, FITS, TRUTH;
    fewer_layers_rerun_all_but_weights_and_scenes: "units.layers",
        ["\"query-key\"" -> "\"query-key\"\nlayers = [1]"] computes UNITS, BRAINS, FITS, TRUTH;
    all_layers_by_number_rerun_exports_only: "units.layers",
        ["\"query-key\"" -> "\"query-key\"\nlayers = [1, 0]"] computes "export";
    units_without_special_tokens_rerun_all_but_weights_and_scenes: "units.special_tokens",
        ["\"query-key\"" -> "\"query-key\"\nspecial_tokens = false"] computes UNITS, BRAINS, FITS, TRUTH;
    the_usual_device_reruns_nothing: "extraction.device", ["[units]" -> "[extraction]\ndevice = \"cpu\"\n\n[units]"] computes;

    // Time.
    the_response_reruns_no_brain: "time.hrf", ["\"glover\"" -> "\"spm\""] computes ANALYSIS, FITS, TRUTH;
    a_cut_start_reruns_no_brain: "time.trim_start_s", ["\"glover\"" -> "\"glover\"\ntrim_start_s = 3.0"]
        computes ANALYSIS, FITS, TRUTH;
    dropped_rest_reruns_no_brain: "time.rest", ["\"glover\"" -> "\"glover\"\nrest = \"drop\""] computes ANALYSIS, FITS, TRUTH;

    // Simulated brains.
    a_new_subject_reruns_its_own: "bold.simulate.subjects", [r#"["sub-01", "sub-02"]"# -> r#"["sub-01", "sub-02", "sub-03"]"#]
        computes "simulate/sub-03 mask/sub-03 groups/sub-03 bold/sub-03/* encode/sub-03/* null/sub-03/* prediction/sub-03/* maps/sub-03/* redundancy/sub-03/* polarity/sub-03/* recovery/sub-03 report";
    a_subject_less_reruns_the_report_only: "bold.simulate.subjects", [r#"["sub-01", "sub-02"]"# -> r#"["sub-02"]"#]
        computes "report";
    the_only_model_by_name_reruns_nothing: "bold.simulate.model",
        ["repetition_time_s = 1.5" -> "repetition_time_s = 1.5\nmodel = \"clip\""] computes;
    the_repetition_time_reruns_no_extraction: "bold.simulate.repetition_time_s",
        ["repetition_time_s = 1.5" -> "repetition_time_s = 1.6"] computes "series pattern", BRAINS, FITS, TRUTH;
    the_seed_of_brains_reruns_no_pattern: "bold.simulate.brain.seed", ["seed = 3\n" -> "seed = 7\n"] computes BRAINS, FITS, TRUTH;
    the_shape_of_brains_reruns_no_pattern: "bold.simulate.brain.shape", ["[10, 12, 9]" -> "[10, 12, 10]"]
        computes BRAINS, "groups", FITS, TRUTH;
    the_size_of_voxels_reruns_no_fit: "bold.simulate.brain.voxel_size_mm", ["voxel_size_mm = 6.0" -> "voxel_size_mm = 5.0"]
        computes BRAINS, "groups prediction maps redundancy recovery report";
    the_noise_reruns_no_pattern: "bold.simulate.brain.snr", ["snr = 2.0" -> "snr = 1.0"] computes BRAINS, FITS, TRUTH;
    the_noises_memory_reruns_no_pattern: "bold.simulate.brain.ar1", ["snr = 2.0" -> "snr = 2.0\nar1 = 0.4"]
        computes BRAINS, FITS, TRUTH;
    the_drift_reruns_no_pattern: "bold.simulate.brain.drift", ["snr = 2.0" -> "snr = 2.0\ndrift = 0.4"]
        computes BRAINS, FITS, TRUTH;
    the_motion_reruns_no_pattern: "bold.simulate.brain.motion", ["snr = 2.0" -> "snr = 2.0\nmotion = 0.4"]
        computes BRAINS, FITS, TRUTH;
    the_name_of_a_space_reruns_no_fit: "bold.simulate.brain.space", ["snr = 2.0" -> "snr = 2.0\nspace = \"drawn\""]
        computes BRAINS, TRUTH;
    a_networks_module_reruns_no_pattern: "bold.simulate.brain.networks.*.module",
        ["language = { module = \"text\"" -> "language = { module = \"vision\""] computes BRAINS, FITS, TRUTH;
    a_networks_layers_rerun_no_pattern: "bold.simulate.brain.networks.*.layers",
        ["\"vision\", layers = [1]" -> "\"vision\", layers = [0]"] computes BRAINS, FITS, TRUTH;
    a_networks_sources_rerun_no_pattern: "bold.simulate.brain.networks.*.sources",
        ["\"vision\", layers = [1]" -> "\"vision\", layers = [1], sources = 3"] computes BRAINS, FITS, TRUTH;
    a_sources_units_rerun_no_pattern: "bold.simulate.brain.networks.*.units_per_source",
        ["\"vision\", layers = [1]" -> "\"vision\", layers = [1], units_per_source = 3"] computes BRAINS, FITS, TRUTH;
    a_sources_signs_rerun_no_pattern: "bold.simulate.brain.networks.*.negative_units",
        ["\"vision\", layers = [1]" -> "\"vision\", layers = [1], negative_units = 0.5"] computes BRAINS, FITS, TRUTH;
    redundant_voxels_rerun_no_pattern: "bold.simulate.brain.networks.*.redundant_voxels",
        ["\"vision\", layers = [1]" -> "\"vision\", layers = [1], redundant_voxels = 0.25"] computes BRAINS, FITS, TRUTH;
    mirrored_voxels_rerun_no_pattern: "bold.simulate.brain.networks.*.mirrored_voxels",
        ["\"vision\", layers = [1]" -> "\"vision\", layers = [1], mirrored_voxels = 0.5"] computes BRAINS, FITS, TRUTH;

    a_second_branch_reruns_no_pattern: "bold.simulate.brain.networks.*.also.module",
        ["\"vision\", layers = [1]" -> "\"vision\", layers = [1], also = { module = \"text\", layers = [0] }"] computes BRAINS, FITS, TRUTH;
    its_layers_rerun_no_pattern: "bold.simulate.brain.networks.*.also.layers",
        ["\"vision\", layers = [1]" -> "\"vision\", layers = [1], also = { module = \"text\", layers = [1] }"] computes BRAINS, FITS, TRUTH;
    its_mixing_reruns_no_pattern: "bold.simulate.brain.networks.*.also.mixing",
        ["\"vision\", layers = [1]" -> "\"vision\", layers = [1], also = { module = \"text\", layers = [1], mixing = \"even\" }"]
        computes BRAINS, FITS, TRUTH;
    the_noise_of_a_network_reruns_no_pattern: "bold.simulate.brain.networks.*.snr",
        ["\"vision\", layers = [1]" -> "\"vision\", layers = [1], snr = 0.5"] computes BRAINS, FITS, TRUTH;
    planted_patterns_rerun_no_pattern: "bold.simulate.brain.patterns.networks",
        ["[preparation]" -> "[bold.simulate.brain.patterns]\nnetworks = [\"default\"]\nduplicates = 0\nmirrored = 0\nalone = 2\nmax_correlation = 0.9\n\n[preparation]"] computes BRAINS, FITS, TRUTH;
    patterns_alone_rerun_brains: "bold.simulate.brain.patterns.alone",
        ["[preparation]" -> "[bold.simulate.brain.patterns]\nnetworks = [\"default\"]\nduplicates = 0\nmirrored = 0\nalone = 1\nmax_correlation = 0.9\n\n[preparation]"] computes BRAINS, FITS, TRUTH;
    duplicates_rerun_brains: "bold.simulate.brain.patterns.duplicates",
        ["[preparation]" -> "[bold.simulate.brain.patterns]\nnetworks = [\"default\"]\nduplicates = 1\nmirrored = 0\nalone = 0\nmax_correlation = 0.9\n\n[preparation]"] computes BRAINS, FITS, TRUTH;
    mirrored_patterns_rerun_brains: "bold.simulate.brain.patterns.mirrored",
        ["[preparation]" -> "[bold.simulate.brain.patterns]\nnetworks = [\"default\"]\nduplicates = 0\nmirrored = 1\nalone = 0\nmax_correlation = 0.9\n\n[preparation]"] computes BRAINS, FITS, TRUTH;
    the_largest_correlation_reruns_brains: "bold.simulate.brain.patterns.max_correlation",
        ["[preparation]" -> "[bold.simulate.brain.patterns]\nnetworks = [\"default\"]\nduplicates = 0\nmirrored = 0\nalone = 1\nmax_correlation = 0.8\n\n[preparation]"] computes BRAINS, FITS, TRUTH;
    the_noise_of_patterns_reruns_brains: "bold.simulate.brain.patterns.snr",
        ["[preparation]" -> "[bold.simulate.brain.patterns]\nnetworks = [\"default\"]\nduplicates = 0\nmirrored = 0\nalone = 1\nmax_correlation = 0.9\nsnr = 0.5\n\n[preparation]"] computes BRAINS, FITS, TRUTH;

    // Preparation.
    confounds_rerun_preparation: "preparation.confounds", ["\"rot_*\"" -> "\"rot_x\""] computes "bold", FITS, TRUTH;
    the_filter_reruns_preparation: "preparation.high_pass_s", ["high_pass_s = 128.0" -> "high_pass_s = 30.0"]
        computes "bold", FITS, TRUTH;
    detrending_reruns_preparation: "preparation.detrend", ["high_pass_s = 128.0" -> "high_pass_s = 128.0\ndetrend = true"]
        computes "bold", FITS, TRUTH;
    another_scale_reruns_preparation: "preparation.scale", ["high_pass_s = 128.0" -> "high_pass_s = 128.0\nscale = \"percent-change\""]
        computes "bold", FITS, TRUTH;
    smoothing_reruns_preparation: "preparation.smoothing_fwhm_mm",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\nsmoothing_fwhm_mm = 8.0"] computes "bold", FITS, TRUTH;
    dropped_last_volumes_rerun_preparation: "preparation.drop_final",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\ndrop_final = 1"] computes "bold", FITS, TRUTH;
    listed_volumes_rerun_preparation: "preparation.drop_volumes",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\ndrop_volumes = [0, \"2-3\"]"] computes "bold", FITS, TRUTH;
    scrubbing_before_what_never_happens_stops_there: "preparation.scrub_before",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\nscrub_before = 1"] computes "bold";
    scrubbing_after_what_never_happens_stops_there: "preparation.scrub_after",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\nscrub_after = 1"] computes "bold";
    short_stretches_between_nothing_stop_there: "preparation.scrub_shorter_than",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\nscrub_shorter_than = 5"] computes "bold";
    trimming_no_clips_stops_there: "preparation.clip_trim_s",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\nclip_trim_s = 3.0"] computes "bold";
    clips_rerun_preparation: "runs.clips", ["test = [\"4\"]" -> "test = [\"4\"]\nclips = \"clips.tsv\""]
        computes "bold", FITS, TRUTH;
    dropped_volumes_rerun_preparation: "preparation.drop_initial",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\ndrop_initial = 2"] computes "bold", FITS, TRUTH;
    looking_for_non_steady_volumes_stops_where_there_are_none: "preparation.drop_non_steady_state",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\ndrop_non_steady_state = true"] computes "bold report";
    a_displacement_that_no_volume_exceeds_stops_there: "preparation.max_framewise_displacement_mm",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\nmax_framewise_displacement_mm = 1000.0"] computes "bold report";
    a_displacement_that_volumes_exceed_reruns_fits: "preparation.max_framewise_displacement_mm",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\nmax_framewise_displacement_mm = 0.1"] computes "bold", FITS, TRUTH;

    // Voxels.
    all_voxels_rerun_masks: "atlas.voxels", ["[patterns.dictionary]" -> "[atlas]\nvoxels = \"all\"\n[patterns.dictionary]"]
        computes "mask groups bold", FITS, TRUTH;
    some_networks_rerun_masks: "atlas.voxels.networks",
        ["[patterns.dictionary]" -> "[atlas]\nvoxels = { networks = [\"visual\"] }\n[patterns.dictionary]"]
        computes "mask groups bold", FITS, TRUTH;

    combined_networks_rerun_what_asks_for_them: "atlas.combine",
        ["[patterns.dictionary]" -> "[[atlas.combine]]\nname = \"attention\"\nof = [\"dorsal-attention\", \"ventral-attention\"]\n[patterns.dictionary]"]
        computes "mask groups bold", FITS, TRUTH;
    a_combined_networks_name_reruns_what_asks_for_it: "atlas.combine",
        ["[patterns.dictionary]" -> "[[atlas.combine]]\nname = \"seeing\"\nof = [\"visual\"]\n[patterns.dictionary]"]
        computes "mask groups bold", FITS, TRUTH;
    a_combined_networks_parts_rerun_what_asks_for_it: "atlas.combine",
        ["[patterns.dictionary]" -> "[[atlas.combine]]\nname = \"seeing\"\nof = [\"visual\", \"limbic\"]\n[patterns.dictionary]"]
        computes "mask groups bold", FITS, TRUTH;
    a_difference_reruns_what_asks_for_it: "atlas.combine",
        ["[patterns.dictionary]" -> "[[atlas.combine]]\nname = \"only\"\noperation = \"difference\"\nof = [\"visual\", \"language\"]\n[patterns.dictionary]"]
        computes "mask groups bold", FITS, TRUTH;
    parts_that_go_rerun_what_asks_for_them: "atlas.combine",
        ["[patterns.dictionary]" -> "[[atlas.combine]]\nname = \"seeing\"\nof = [\"visual\"]\nkeep_parts = false\n[patterns.dictionary]"]
        computes "mask groups bold", FITS, TRUTH;
    peeled_networks_rerun_masks: "atlas.clean.erode_voxels",
        ["[patterns.dictionary]" -> "[atlas.clean]\nerode_voxels = 1\n[patterns.dictionary]"] computes "mask groups bold", FITS, TRUTH;
    pieces_that_none_is_smaller_than_stop_there: "atlas.clean.smallest_piece_voxels",
        ["[patterns.dictionary]" -> "[atlas.clean]\nsmallest_piece_voxels = 2\n[patterns.dictionary]"] computes "mask report";
    networks_that_none_is_smaller_than_stop_there: "atlas.clean.smallest_network_voxels",
        ["[patterns.dictionary]" -> "[atlas.clean]\nsmallest_network_voxels = 2\n[patterns.dictionary]"] computes "mask report";
    parcels_as_networks_rerun_what_asks_for_them: "atlas.networks",
        ["[patterns.dictionary]" -> "[atlas]\nnetworks = \"parcels\"\n[patterns.dictionary]"]
        computes "mask groups bold", FITS, TRUTH;
    the_column_of_networks_by_name_stops_there: "atlas.networks.column",
        ["[patterns.dictionary]" -> "[atlas]\nnetworks = { column = \"network\" }\n[patterns.dictionary]"] computes "mask";
    a_run_shown_again_reruns_brains: "bold.simulate.brain.repeats.*",
        ["snr = 2.0" -> "snr = 2.0\nrepeats = { \"4\" = [\"5\"] }"] computes BRAINS, TRUTH;
    a_run_shown_twice_more_reruns_brains: "bold.simulate.brain.repeats.*",
        ["snr = 2.0" -> "snr = 2.0\nrepeats = { \"4\" = [\"5\", \"6\"] }"] computes BRAINS, TRUTH;

    // Patterns.
    more_patterns_rerun_their_fits: "patterns.dictionary.n_patterns", ["n_patterns = 4" -> "n_patterns = 5"]
        computes "pattern", PATTERN_FITS, TRUTH;
    the_penalty_reruns_patterns: "patterns.dictionary.penalty", ["penalty = 0.15" -> "penalty = 0.2"]
        computes "pattern", PATTERN_FITS, TRUTH;
    the_seed_of_the_dictionary_reruns_patterns: "patterns.dictionary.seed", ["seed = 4\n" -> "seed = 5\n"]
        computes "pattern", PATTERN_FITS, TRUTH;
    fewer_epochs_rerun_patterns: "patterns.dictionary.max_epochs", ["seed = 4\n" -> "seed = 4\nmax_epochs = 5\n"]
        computes "pattern", PATTERN_FITS, TRUTH;
    the_tolerance_reruns_patterns: "patterns.dictionary.tolerance", ["seed = 4\n" -> "seed = 4\ntolerance = 0.01\n"]
        computes "pattern", PATTERN_FITS, TRUTH;
    components_rerun_patterns: "patterns.pca.n_patterns",
        ["[patterns.dictionary]" -> "[patterns.pca]"] ["penalty = 0.15\n" -> ""] ["seed = 4\n" -> ""]
        computes "pattern", PATTERN_FITS, TRUTH;

    units_as_they_are_rerun_pattern_fits: "patterns.units",
        ["[patterns.dictionary]" -> "[patterns.units]"] ["n_patterns = 4\n" -> ""] ["penalty = 0.15\n" -> ""] ["seed = 4\n" -> ""]
        computes "pattern", PATTERN_FITS, TRUTH;

    // Fits.
    an_alpha_reruns_fits: "encoding.ridge.alphas", ["10_000]" -> "20_000]"] computes FITS, TRUTH;
    a_shared_alpha_reruns_fits: "encoding.ridge.alpha", ["10_000]" -> "10_000]\nalpha = \"shared\""] computes FITS, TRUTH;
    folds_rerun_fits: "encoding.ridge.folds", ["10_000]" -> "10_000]\nfolds = { blocks = { n = 3 } }"] computes FITS, TRUTH;
    the_number_of_folds_reruns_fits: "encoding.ridge.folds.blocks.n",
        ["10_000]" -> "10_000]\nfolds = { blocks = { n = 4 } }"] computes FITS, TRUTH;
    the_gap_of_folds_reruns_fits: "encoding.ridge.folds.blocks.gap_s",
        ["10_000]" -> "10_000]\nfolds = { blocks = { n = 3, gap_s = 5 } }"] computes FITS, TRUTH;
    the_score_reruns_fits: "encoding.ridge.score", ["10_000]" -> "10_000]\nscore = \"pearson\""] computes FITS, TRUTH;
    fewer_features_rerun_the_report_only: "encoding.ridge.features", ["10_000]" -> "10_000]\nfeatures = [\"patterns\"]"]
        computes "prediction recovery report";
    features_in_another_order_rerun_nothing: "encoding.ridge.features",
        ["10_000]" -> "10_000]\nfeatures = [\"layers\", \"patterns\"]"] computes;

    // Statistics.
    shuffled_folds_rerun_fits: "encoding.ridge.folds.shuffled.n",
        ["10_000]" -> "10_000]\nallow_shuffled = true\nfolds = { shuffled = { n = 3 } }"] computes FITS, TRUTH;
    the_order_of_shuffled_folds_reruns_fits: "encoding.ridge.folds.shuffled.seed",
        ["10_000]" -> "10_000]\nallow_shuffled = true\nfolds = { shuffled = { n = 3, seed = 1 } }"] computes FITS, TRUTH;
    permission_alone_reruns_nothing: "encoding.ridge.allow_shuffled", ["10_000]" -> "10_000]\nallow_shuffled = true"] computes;
    circular_shifts_rerun_significance: "statistics.significance.method",
        ["[statistics.significance]" -> "[statistics.significance]\nmethod = \"circular-shift\""] computes TESTS;
    stopping_early_reruns_significance: "statistics.significance.stop_after",
        ["[statistics.significance]" -> "[statistics.significance]\nstop_after = 5"] computes TESTS;
    more_permutations_rerun_significance: "statistics.significance.n_permutations",
        ["[statistics.significance]\nn_permutations = 99" -> "[statistics.significance]\nn_permutations = 199"]
        computes TESTS;
    the_block_reruns_significance: "statistics.significance.block_s",
        ["[statistics.significance]" -> "[statistics.significance]\nblock_s = 10.0"] computes FITS, TRUTH;
    the_discovery_rate_reruns_significance: "statistics.significance.fdr",
        ["[statistics.significance]" -> "[statistics.significance]\nfdr = 0.1"] computes "null prediction maps recovery report";
    the_seed_of_significance_reruns_it: "statistics.significance.seed",
        ["[statistics.significance]" -> "[statistics.significance]\nseed = 1"] computes TESTS;
    significance_taken_out_reruns_layers_which_test_themselves: "statistics.significance.n_permutations",
        ["[statistics.significance]\nn_permutations = 99" -> ""] computes "encode/*/layer-* prediction maps recovery report";
    the_threshold_reruns_redundancy: "statistics.redundancy.threshold_sd",
        ["[statistics.redundancy]" -> "[statistics.redundancy]\nthreshold_sd = 1.0"] computes "redundancy recovery report";
    more_permutations_rerun_redundancy: "statistics.redundancy.n_permutations",
        ["[statistics.redundancy]\nn_permutations = 99" -> "[statistics.redundancy]\nn_permutations = 199"]
        computes "redundancy recovery report";
    the_seed_of_redundancy_reruns_it: "statistics.redundancy.seed",
        ["[statistics.redundancy]" -> "[statistics.redundancy]\nseed = 1"] computes "redundancy recovery report";
    redundancy_taken_out_reruns_no_fit: "statistics.redundancy.n_permutations",
        ["[statistics.redundancy]\nn_permutations = 99" -> ""] computes "recovery report";
    the_opposition_reruns_polarity: "statistics.polarity.min_opposition",
        ["[statistics.polarity]" -> "[statistics.polarity]\nmin_opposition = 0.2"] computes "polarity recovery report";
    more_permutations_rerun_polarity: "statistics.polarity.n_permutations",
        ["[statistics.polarity]\nn_permutations = 99" -> "[statistics.polarity]\nn_permutations = 199"]
        computes "polarity recovery report";
    the_seed_of_polarity_reruns_it: "statistics.polarity.seed",
        ["[statistics.polarity]" -> "[statistics.polarity]\nseed = 1"] computes "polarity recovery report";
    polarity_taken_out_reruns_no_fit: "statistics.polarity.n_permutations",
        ["[statistics.polarity]\nn_permutations = 99" -> ""] computes "recovery report";

    another_share_reruns_redundancy: "statistics.redundancy.driven_share",
        ["[statistics.redundancy]" -> "[statistics.redundancy]\ndriven_share = 0.2"] computes "redundancy recovery report";
    the_reliability_of_maps_reruns_redundancy: "statistics.redundancy.min_reliability",
        ["[statistics.redundancy]" -> "[statistics.redundancy]\nmin_reliability = 0.95"] computes "redundancy recovery report";
    the_reliability_of_maps_reruns_polarity: "statistics.polarity.min_reliability",
        ["[statistics.polarity]" -> "[statistics.polarity]\nmin_reliability = 0.95"] computes "polarity recovery report";
    another_null_reruns_redundancy: "statistics.redundancy.null",
        ["[statistics.redundancy]" -> "[statistics.redundancy]\nnull = \"memberships\""] computes "redundancy recovery report";
    other_shares_rerun_redundancy: "statistics.redundancy.removed_shares",
        ["[statistics.redundancy]" -> "[statistics.redundancy]\nremoved_shares = [0.5]"] computes "redundancy recovery report";
    more_removals_rerun_redundancy: "statistics.redundancy.n_removals",
        ["[statistics.redundancy]" -> "[statistics.redundancy]\nn_removals = 3"] computes "redundancy recovery report";
    the_threshold_of_opposite_sets_reruns_polarity: "statistics.polarity.threshold_sd",
        ["[statistics.polarity]" -> "[statistics.polarity]\nthreshold_sd = 1.0"] computes "polarity recovery report";
    branches_are_fitted_where_architecture_is_asked: "statistics.architecture.seed",
        ["[statistics.polarity]" -> "[statistics.architecture]\nseed = 1\n\n[statistics.polarity]"]
        computes "encode/*/branches/* architecture maps recovery report";
    models_to_compare_are_those_named: "statistics.architecture.compare",
        ["[statistics.polarity]" -> "[statistics.architecture]\ncompare = []\n\n[statistics.polarity]"]
        computes "encode/*/branches/* architecture maps recovery report";
    draws_of_architecture_fit_nothing_again: "statistics.architecture.n_permutations",
        ["[statistics.polarity]" -> "[statistics.architecture]\nn_permutations = 99\n\n[statistics.polarity]"]
        computes "encode/*/branches/* architecture maps recovery report";
    an_order_of_networks_reruns_no_fit: "statistics.hierarchy.order",
        ["[statistics.polarity]" -> "[statistics.hierarchy]\norder = [\"visual\", \"language\", \"default\", \"limbic\"]\n\n[statistics.polarity]"]
        computes "hierarchy maps report";
    the_seed_of_hierarchy_reruns_no_fit: "statistics.hierarchy.seed",
        ["[statistics.polarity]" -> "[statistics.hierarchy]\norder = [\"visual\", \"language\"]\nseed = 1\n\n[statistics.polarity]"]
        computes "hierarchy maps report";
    a_group_reruns_no_subject: "statistics.group.n_permutations",
        ["[statistics.polarity]" -> "[statistics.group]\nn_permutations = 99\n\n[statistics.polarity]"] computes "group maps/group report";
    the_seed_of_a_group_reruns_no_subject: "statistics.group.seed",
        ["[statistics.polarity]" -> "[statistics.group]\nseed = 1\n\n[statistics.polarity]"] computes "group maps/group report";
    families_rerun_the_group: "statistics.group.families",
        ["[statistics.polarity]" -> "[statistics.group]\nfamilies = \"participants.tsv\"\n\n[statistics.polarity]"] computes "group maps/group report";
    another_column_of_families_reruns_the_group: "statistics.group.family_column",
        ["[statistics.polarity]" -> "[statistics.group]\nfamilies = \"participants.tsv\"\nfamily_column = \"household\"\n\n[statistics.polarity]"]
        computes "group maps/group report";
    components_in_place_of_layers_rerun_layers: "encoding.ridge.components", ["10_000]" -> "10_000]\ncomponents = 3"]
        computes "pattern/clip/* encode/*/layer-* prediction recovery report";

    // Controls.
    untrained_twins_run_beside_their_models: "controls.untrained", ["[units]" -> "[controls]\nuntrained = true\n\n[units]"]
        computes "weights/clip-untrained export/clip-untrained/* extract/clip-untrained/* series/clip-untrained/* pattern/clip-untrained \
                  encode/*/clip-untrained/* null/*/clip-untrained prediction/*/clip-untrained maps/*/clip-untrained redundancy/*/clip-untrained \
                  polarity/*/clip-untrained report";
    phases_run_from_the_same_units: "controls.phases", ["[units]" -> "[controls]\nphases = true\n\n[units]"]
        computes "pattern/clip-phases encode/*/clip-phases/patterns null/*/clip-phases prediction/*/clip-phases maps/*/clip-phases \
                  redundancy/*/clip-phases polarity/*/clip-phases report";
    the_seed_of_controls_reruns_them: "controls.seed", ["[units]" -> "[controls]\nphases = true\nseed = 3\n\n[units]"]
        computes "pattern/clip-phases encode/*/clip-phases/patterns null/*/clip-phases prediction/*/clip-phases maps/*/clip-phases \
                  redundancy/*/clip-phases polarity/*/clip-phases report";
    low_level_features_run_beside_models: "controls.low_level", ["[units]" -> "[controls]\nlow_level = true\n\n[units]"]
        computes "measure/low-level/* series/low-level/* pattern/low-level encode/*/low-level/* null/*/low-level prediction/*/low-level maps/*/low-level \
                  redundancy/*/low-level polarity/*/low-level report";
    words_run_beside_models: "controls.words", ["[units]" -> "[controls]\nwords = true\n\n[units]"]
        computes "measure/words/* series/words/* pattern/words encode/*/words/* null/*/words prediction/*/words maps/*/words \
                  redundancy/*/words polarity/*/words report";
    a_model_without_a_network_runs_beside_others: "models.*.low_level.features",
        ["[units]" -> "[models.pixels.low_level]\nfeatures = [\"luminance\", \"contrast\"]\n\n[units]"]
        ["repetition_time_s = 1.5" -> "repetition_time_s = 1.5\nmodel = \"clip\""]
        computes "measure/pixels/* series/pixels/* pattern/pixels encode/*/pixels/* null/*/pixels prediction/*/pixels maps/*/pixels \
                  redundancy/*/pixels polarity/*/pixels report";
    a_grid_of_cells_runs_its_model: "models.*.low_level.grid",
        ["[units]" -> "[models.pixels.low_level]\ngrid = 2\nfeatures = [\"luminance\"]\n\n[units]"]
        ["repetition_time_s = 1.5" -> "repetition_time_s = 1.5\nmodel = \"clip\""]
        computes "measure/pixels/* series/pixels/* pattern/pixels encode/*/pixels/* null/*/pixels prediction/*/pixels maps/*/pixels \
                  redundancy/*/pixels polarity/*/pixels report";

    // What shapes no result.
    sources_rerun_nothing: "sources.*", ["# The smallest study" -> "sources = { \"units.kind\" = \"nowhere\" }\n# "] computes;
    a_shared_cache_reruns_nothing: "cache.remote", ["# The smallest study" -> "cache = { remote = \"elsewhere\" }\n# "] computes;
    giving_to_a_shared_cache_reruns_nothing: "cache.mode",
        ["# The smallest study" -> "cache = { remote = \"elsewhere\", mode = \"read-write\" }\n# "] computes;
    comments_rerun_nothing: "study.name", ["# The smallest" -> "# Not the smallest\n\n# The smallest"] computes;
    name_and_description_rerun_nothing: "study.description", ["name = \"tiny\"" -> "name = \"other\"\ndescription = \"Words.\""]
        computes;
    order_and_spaces_rerun_nothing: "study.name",
        ["seed = 1\nimages_per_run = 12" -> "  images_per_run=12\nseed    =    1"] ["[units]\nkind = \"query-key\"\n" -> ""]
        ["[time]" -> "[units]\nkind = 'query-key'\n[time]"] computes;
    numbers_written_otherwise_rerun_nothing: "study.name", ["[1, 100, 10_000]" -> "[1.0, 1e2, 10000]"]
        ["high_pass_s = 128.0" -> "high_pass_s = 128"] ["images_per_run = 12" -> "images_per_run = 0xC"] computes;
    defaults_written_out_rerun_nothing: "study.name",
        ["seed = 4\n" -> "seed = 4\nmax_epochs = 50\ntolerance = 1e-4\n"] ["10_000]" -> "10_000]\nfolds = \"runs\"\nscore = \"r2\""]
        ["[statistics.polarity]" -> "[statistics.polarity]\nmin_opposition = 0.3\nseed = 0"] computes;
}
