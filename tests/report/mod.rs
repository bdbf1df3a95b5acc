//! The report page as a whole: what a reader gets, and what a stranger's text can do to it.

mod example;
mod markup;

use std::path::Path;

use hebb::report::*;

/// Pages at the edges of what may happen.
fn unusual_pages() -> Vec<(&'static str, Page)> {
    let mut no_voxels = example::page();
    for panel in &mut no_voxels.prediction.panels {
        for network in &mut panel.networks {
            network.n_voxels = 0;
        }
        for layer in panel.modules.iter_mut().flat_map(|module| &mut module.layers) {
            layer.cells.fill(Value::absent("the mask is empty"));
        }
    }
    let affine = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
    let empty = Volume::new([2, 2, 2], vec![0.0; 8], vec![false; 8], affine).expect("arrays fill the shape");
    no_voxels.brain[0].volume = empty;

    let mut ragged = example::page();
    ragged.prediction.panels[0].modules[0].layers[0].cells.truncate(2);
    ragged.redundancy[0].dice.truncate(3);
    ragged.redundancy[0].dice[0].clear();
    ragged.patterns[0].patterns[0].series.truncate(10);
    ragged.patterns[0].runs[0].n_tr = usize::MAX;

    let mut bare = example::page();
    bare.patterns[0].patterns.clear();
    bare.redundancy[0].patterns.clear();
    bare.polarity[0].pairs[0].profiles.clear();
    bare.prediction.panels[0].networks.clear();
    bare.prediction.panels[1].modules.clear();

    let mut broken = example::page();
    broken.patterns[0].repetition_time_s = f64::NAN;
    broken.patterns[0].patterns[0].series.fill(f32::NAN);
    broken.patterns[0].patterns[1].profile[0].code = f64::INFINITY;
    broken.polarity[0].pairs[0].profiles[0].k = f64::NAN;
    broken.redundancy[0].mean_dice = Value::Known(f64::NAN);
    broken.provenance.tasks[0].run_time_s = Some(f64::NAN);

    let mut signed = example::page();
    signed.prediction.measure.scale = Scale::Signed;
    signed.brain[0].measure.scale = Scale::Signed;

    let mut large = example::page();
    large.redundancy[0] = example::redundancy(80);

    let mut alone = example::page();
    alone.subjects.truncate(1);
    alone.prediction.panels.retain(|panel| panel.subject == "sub-01");
    for row in &mut alone.findings {
        row.subject = "sub-01".into();
        row.q = Value::absent("one subject");
    }

    vec![
        ("empty", Page::default()),
        ("example", example::page()),
        ("no voxels", no_voxels),
        ("ragged", ragged),
        ("bare", bare),
        ("broken", broken),
        ("large", large),
        ("signed", signed),
        ("single subject", alone),
    ]
}

/// The example with every text replaced by `text`.
fn with_every_text(text: &str) -> Page {
    let mut page = example::page();
    let Page {
        study,
        description,
        subjects,
        models,
        warnings,
        prediction,
        brain,
        n_brain_left_out: _,
        viewer,
        patterns,
        redundancy,
        polarity,
        findings,
        methods,
        provenance,
    } = &mut page;
    let mut texts = vec![study, description, &mut prediction.measure.name];
    texts.extend(models.iter_mut().chain(methods));
    texts.extend(subjects.iter_mut().map(|subject| &mut subject.name));
    texts.extend(warnings.iter_mut().flat_map(|warning| [&mut warning.place, &mut warning.message]));
    for panel in &mut prediction.panels {
        texts.extend([&mut panel.subject, &mut panel.model]);
        for network in &mut panel.networks {
            texts.push(&mut network.name);
            texts.extend(network.bands.iter_mut().map(|band| &mut band.name));
            texts.extend(network.best_layer.iter_mut().flat_map(|best| [&mut best.module, &mut best.layer]));
        }
        for module in &mut panel.modules {
            texts.push(&mut module.name);
            texts.extend(module.layers.iter_mut().map(|layer| &mut layer.name));
        }
    }
    texts.extend(brain.iter_mut().flat_map(|map| [&mut map.title, &mut map.measure.name]));
    for brain in &mut viewer.brains {
        texts.push(&mut brain.subject);
        texts.extend(&mut brain.networks);
    }
    for map in &mut viewer.maps {
        texts.extend([&mut map.title, &mut map.measure.name, &mut map.path]);
        texts.extend(map.frames.iter_mut().map(|frame| &mut frame.name));
    }
    for set in patterns {
        texts.extend([&mut set.title, &mut set.unit]);
        texts.extend(set.runs.iter_mut().map(|run| &mut run.name));
        for pattern in &mut set.patterns {
            texts.push(&mut pattern.name);
            texts.extend(pattern.profile.iter_mut().flat_map(|code| [&mut code.layer.module, &mut code.layer.layer]));
        }
    }
    for result in redundancy {
        texts.extend([&mut result.subject, &mut result.model, &mut result.null.name]);
        texts.extend(result.patterns.iter_mut().chain(result.networks.iter_mut().map(|network| &mut network.network)));
        for value in result.dice.iter_mut().flatten() {
            if let Value::Absent(reason) = value {
                texts.push(reason);
            }
        }
    }
    for result in polarity {
        texts.extend([&mut result.subject, &mut result.model, &mut result.null]);
        for pair in &mut result.pairs {
            texts.extend([&mut pair.k, &mut pair.j]);
            texts.extend(pair.profiles.iter_mut().flat_map(|code| [&mut code.layer.module, &mut code.layer.layer]));
        }
    }
    for row in findings {
        texts.extend([
            &mut row.statistic,
            &mut row.meaning,
            &mut row.subject,
            &mut row.model,
            &mut row.part,
            &mut row.network,
        ]);
    }
    texts.extend(provenance.tasks.iter_mut().flat_map(|task| [&mut task.id, &mut task.kind, &mut task.key]));
    texts.extend(provenance.engines.iter_mut().flat_map(|engine| [&mut engine.name, &mut engine.version]));
    texts.extend(provenance.seeds.iter_mut().map(|seed| &mut seed.name));
    texts.extend(provenance.files.iter_mut().flat_map(|file| [&mut file.path, &mut file.holds]));
    texts.extend([&mut provenance.spec, &mut provenance.graph]);
    texts.into_iter().for_each(|slot| *slot = text.to_owned());
    page
}

#[test]
fn every_page_is_well_formed() {
    for (name, page) in unusual_pages() {
        if let Err(fault) = markup::check(&render(&page)) {
            panic!("{name}: {fault}");
        }
    }
}

#[test]
fn no_text_becomes_markup() {
    for text in ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "</style><b>", "'&amp;<!--", "]]>"] {
        // Labels that do not fit are left out, so the harmless text must have the same length.
        let harmless = render(&with_every_text(&"x".repeat(text.chars().count())));
        let html = render(&with_every_text(text));
        markup::check(&html).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!(markup::elements(&html), markup::elements(&harmless), "{text}");
        assert!(!html.contains("<script>alert") && !html.contains("<img src=x"));
    }
}

#[test]
fn long_captions_and_names_are_shown_whole_somewhere() {
    let long = "a very long name ".repeat(200);
    let html = render(&with_every_text(&long));
    markup::check(&html).expect("well formed");
    assert!(html.contains(&long));
}

#[test]
fn nothing_is_fetched() {
    for (name, page) in unusual_pages() {
        let html = markup::without_programs(&render(&page));
        for (attribute, value) in markup::references(&html) {
            assert!(
                ["#", "data:image/png;base64,", "data:image/svg+xml;base64,"]
                    .iter()
                    .any(|start| value.starts_with(start)),
                "{name}: {attribute} {value:.80}"
            );
        }
        assert!(html.matches("url(").count() == html.matches("url(#").count(), "{name}");
        assert!(!html.contains("@import") && !html.contains("http://") && !html.contains("https://"), "{name}");
    }
}

#[test]
fn equal_pages_give_equal_bytes() {
    assert_eq!(render(&example::page()), render(&example::page()));
}

#[test]
fn no_number_is_ever_nan() {
    for (name, page) in unusual_pages() {
        // The letters of a picture may spell anything.
        let html = markup::without_programs(&markup::without_pictures(&render(&page)));
        for sign in ["NaN", ">inf", "-inf", " inf"] {
            assert!(!html.contains(sign), "{name}: {sign}");
        }
    }
}

#[test]
fn networks_without_voxels_stay() {
    let html = render(&example::page());
    assert!(html.contains("n = 0") && html.contains("Without any voxel: limbic."));
    assert!(html.contains("\"why\":\"the network has no voxel\""));
}

#[test]
fn a_study_without_opposed_pairs_says_so() {
    assert!(render(&example::page()).contains("No opposed pairs: of 66 pairs, none"));
}

#[test]
fn what_the_colours_hide_is_said() {
    let html = markup::without_programs(&render(&example::page()));
    assert!(html.contains("Neurological orientation: left is left"));
    assert!(html.contains("below zero take the colour of zero"));
    assert!(html.contains("beyond the scale take the colour of its end") == html.contains('≥'));
}

#[test]
fn warnings_stand_before_the_first_result() {
    let html = render(&example::page());
    assert!(html.find("widen `encoding.ridge.alphas`") < html.find("id=\"prediction\""));
}

/// What an unusual page draws, drawn: no chart may be refused by the library, and none may show what is not a number.
#[test]
fn every_chart_is_drawn_as_a_vector_figure() {
    let drawer = Drawer::new().expect("the library loads");
    let mut names = std::collections::HashSet::new();
    for (name, page) in unusual_pages() {
        names.clear();
        for figure in figures(&page) {
            assert!(names.insert(figure.name.clone()), "{name}: two charts `{}`", figure.name);
            let svg = drawer.svg(&figure).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"), "{name}: {}", figure.name);
            assert!(!svg.contains("NaN") && !svg.contains("undefined"), "{name}: {}", figure.name);
            assert_eq!(svg, drawer.svg(&figure).expect("drawn before"), "{name}: {}", figure.name);
        }
    }
}

/// A run in which one task failed.
fn failure(text: &str) -> Failure {
    let mut provenance = example::page().provenance;
    let task =
        |id: &str, state| Task { id: id.into(), kind: "bold".into(), key: "0a1b2c3d".into(), run_time_s: None, state };
    provenance.tasks.extend([task(text, TaskState::Failed), task("report", TaskState::Waiting)]);
    Failure {
        study: text.into(),
        description: text.into(),
        ended: "5 computed, 0 cached, 1 failed, 1 blocked in 3.2 s".into(),
        failed: vec![FailedTask { id: text.into(), message: format!("`{text}` ends after 12 of 100 bytes") }],
        provenance,
    }
}

#[test]
fn a_failed_task_has_a_page_that_no_text_breaks() {
    for text in ["bold/sub-02/run-3", "<script>alert(1)</script>", "a ` b"] {
        let html = render_failure(&failure(text));
        markup::check(&html).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert!(html.contains("1 task failed") && html.contains("ends after 12 of 100 bytes"));
        assert!(!html.contains("<script>alert"));
    }
}

#[test]
fn answers_stand_in_words_before_the_first_section() {
    let html = render(&example::page());
    let (answers, first) = (html.find("In short"), html.find("id=\"prediction\""));
    assert!(answers.is_some() && answers < first);
    assert!(html.contains("no number: no pair of patterns has opposite maps."));
}

/// Leaves the pages in the build folder, for eyes and for `make browser`.
#[test]
fn pages_are_left_for_inspection() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&folder).expect("the build folder can be written");
    let mut long = example::page();
    let caption = "a caption ".repeat(1000);
    long.description.clone_from(&caption);
    long.models[0].clone_from(&caption);
    long.warnings[0].message.clone_from(&caption);
    long.viewer.maps[0].title.clone_from(&caption);
    long.prediction.panels[0].networks[0].name.clone_from(&caption);
    long.findings[0].meaning.clone_from(&caption);
    long.provenance.tasks[0].id = caption.replace(' ', "-");
    let strange = [("hostile", with_every_text("<script>alert(1)</script>")), ("long", long)];
    let pages = unusual_pages().into_iter().chain(strange).map(|(name, page)| (name, render(&page)));
    for (name, html) in pages.chain([("failed", render_failure(&failure("bold/sub-02/run-3")))]) {
        let path = folder.join(format!("{}.html", name.replace(' ', "-")));
        std::fs::write(path, html).expect("the build folder can be written");
    }
}
