//! Networks that the names of parcels tell.
//!
//! Schaefer and colleagues (2018) name a parcel `7Networks_LH_Vis_1`: number of networks, hemisphere, network, part and
//! number. Yeo and colleagues (2011) only number the networks, `7Networks_1`; the same authors' lists of the ordered names
//! and their colour tables say which number is which. Both kinds of table yield the same short names here (`Vis`,
//! `DefaultA`), so that results on the two atlases can be laid side by side; [`long_name`] spells them out.

/// Short and long names of the networks of Yeo 2011 with 7 networks, in the order of their labels.
const SEVEN: [(&str, &str); 7] = [
    ("Vis", "Visual"),
    ("SomMot", "Somatomotor"),
    ("DorsAttn", "Dorsal Attention"),
    ("SalVentAttn", "Ventral Attention"),
    ("Limbic", "Limbic"),
    ("Cont", "Frontoparietal"),
    ("Default", "Default"),
];
/// Short and long names of the networks of Yeo 2011 with 17 networks, in the order of their labels.
const SEVENTEEN: [(&str, &str); 17] = [
    ("VisCent", "Visual Central"),
    ("VisPeri", "Visual Peripheral"),
    ("SomMotA", "Somatomotor A"),
    ("SomMotB", "Somatomotor B"),
    ("DorsAttnA", "Dorsal Attention A"),
    ("DorsAttnB", "Dorsal Attention B"),
    ("SalVentAttnA", "Ventral Attention A"),
    ("SalVentAttnB", "Ventral Attention B"),
    ("LimbicA", "Limbic A"),
    ("LimbicB", "Limbic B"),
    ("ContC", "Frontoparietal C"),
    ("ContA", "Frontoparietal A"),
    ("ContB", "Frontoparietal B"),
    ("TempPar", "Temporal Parietal"),
    ("DefaultC", "Default C"),
    ("DefaultA", "Default A"),
    ("DefaultB", "Default B"),
];

/// The network that a parcel's name tells, if it tells one.
///
/// Understood are `7Networks_LH_Vis_1` and `17Networks_RH_DefaultA_PFCd_2`, the same without the number of networks where
/// the network is one of Yeo's (`LH_Vis_1`), and Yeo's numbers (`17Networks_16`). Older tables of 17 networks, TemplateFlow's
/// among them, call two networks `Limbic`; they become `LimbicA` and `LimbicB` as in the authors' later ones.
pub fn network_of_name(name: &str) -> Option<&str> {
    let (first, rest) = name.trim().split_once('_')?;
    let networks: &'static [(&str, &str)] = match first.to_ascii_lowercase().as_str() {
        "7networks" => &SEVEN,
        "17networks" => &SEVENTEEN,
        "lh" | "rh" => {
            let network = rest.split('_').next()?;
            return long_name(network).map(|_| network);
        }
        _ => return None,
    };
    if let Some((hemisphere, rest)) = rest.split_once('_') {
        let mut parts = rest.split('_');
        let network = match (parts.next()?, parts.next()) {
            // Until September 2019 both limbic networks of the 17 were called alike, told apart by their only parts.
            ("Limbic", Some("TempPole")) if networks.len() == SEVENTEEN.len() => "LimbicA",
            ("Limbic", Some("OFC")) if networks.len() == SEVENTEEN.len() => "LimbicB",
            (network, _) => network,
        };
        return (matches!(hemisphere, "LH" | "RH" | "lh" | "rh") && !network.is_empty()).then_some(network);
    }
    let number: usize = rest.parse().ok()?;
    networks.get(number.checked_sub(1)?).map(|(short, _)| *short)
}

/// A network's name in words, for the short names of Yeo 2011 and Schaefer 2018.
pub fn long_name(network: &str) -> Option<&'static str> {
    SEVEN.iter().chain(&SEVENTEEN).find(|(short, _)| *short == network).map(|(_, long)| *long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_networks() {
        for (name, expected) in [
            ("7Networks_LH_Vis_1", Some("Vis")),
            ("17Networks_RH_DefaultA_PFCd_2", Some("DefaultA")),
            ("17Networks_LH_Limbic_TempPole_1", Some("LimbicA")),
            ("17Networks_RH_Limbic_OFC_2", Some("LimbicB")),
            ("7Networks_LH_Limbic_OFC_1", Some("Limbic")),
            ("17networks_LH_TempPar_1", Some("TempPar")),
            ("17Networks_LH_SomMotA", Some("SomMotA")),
            ("LH_SalVentAttn_FrOperIns_1", Some("SalVentAttn")),
            ("7Networks_7", Some("Default")),
            ("17Networks_9", Some("LimbicA")),
            ("17Networks_14", Some("TempPar")),
            ("7Networks_0", None),
            ("7Networks_8", None),
            ("7Networks_XX_Vis_1", None),
            ("7Networks_LH_", None),
            ("LH_Hippocampus", None),
            ("LH-Pu", None),
            ("Frontal Pole", None),
            ("_", None),
            ("", None),
        ] {
            assert_eq!(network_of_name(name), expected, "{name}");
        }
    }

    #[test]
    fn every_network_has_words() {
        assert_eq!(long_name("SalVentAttn"), Some("Ventral Attention"));
        assert_eq!(long_name("Cont"), Some("Frontoparietal"));
        assert_eq!(long_name("language"), None);
        let numbered = (1..=17).map(|number| format!("17Networks_{number}"));
        assert!(numbered.into_iter().all(|name| network_of_name(&name).and_then(long_name).is_some()));
    }
}
