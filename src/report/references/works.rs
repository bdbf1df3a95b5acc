//! The table of works: every author by full name, titles with braces around letters whose case matters.

use super::{Venue, Work};

const ARTICLE: Venue = Venue::Journal;
const PAPER: Venue = Venue::Proceedings;

/// What every work of the table begins from.
const WORK: Work = Work {
    named: "",
    key: "",
    kind: ARTICLE,
    authors: "",
    title: "",
    venue: "",
    short_venue: "",
    volume: "",
    number: "",
    pages: "",
    year: 0,
    doi: "",
    arxiv: "",
};

/// All works, in the order of their names.
pub(super) const WORKS: [Work; 24] = [
    Work {
        named: "Allen et al. 2022",
        key: "allen2022massive",
        authors: "Allen, Emily J. and St-Yves, Ghislain and Wu, Yihan and Breedlove, Jesse L. and Prince, Jacob S. and \
                  Dowdle, Logan T. and Nau, Matthias and Caron, Brad and Pestilli, Franco and Charest, Ian and \
                  Hutchinson, J. Benjamin and Naselaris, Thomas and Kay, Kendrick",
        title: "A massive {7T} {fMRI} dataset to bridge cognitive neuroscience and artificial intelligence",
        venue: "Nature Neuroscience",
        volume: "25",
        pages: "116--126",
        year: 2022,
        doi: "10.1038/s41593-021-00962-x",
        ..WORK
    },
    Work {
        named: "Behzadi et al. 2007",
        key: "behzadi2007component",
        authors: "Behzadi, Yashar and Restom, Khaled and Liau, Joy and Liu, Thomas T.",
        title: "A component based noise correction method ({CompCor}) for {BOLD} and perfusion based {fMRI}",
        venue: "NeuroImage",
        volume: "37",
        number: "1",
        pages: "90--101",
        year: 2007,
        doi: "10.1016/j.neuroimage.2007.04.042",
        ..WORK
    },
    Work {
        named: "Benjamini and Hochberg 1995",
        key: "benjamini1995controlling",
        authors: "Benjamini, Yoav and Hochberg, Yosef",
        title: "Controlling the false discovery rate: a practical and powerful approach to multiple testing",
        venue: "Journal of the Royal Statistical Society B",
        volume: "57",
        number: "1",
        pages: "289--300",
        year: 1995,
        doi: "10.1111/j.2517-6161.1995.tb02031.x",
        ..WORK
    },
    Work {
        named: "Besag and Clifford 1991",
        key: "besag1991sequential",
        authors: "Besag, Julian and Clifford, Peter",
        title: "Sequential {Monte} {Carlo} p-values",
        venue: "Biometrika",
        volume: "78",
        number: "2",
        pages: "301--304",
        year: 1991,
        doi: "10.1093/biomet/78.2.301",
        ..WORK
    },
    Work {
        named: "Devlin et al. 2019",
        key: "devlin2019bert",
        kind: PAPER,
        authors: "Devlin, Jacob and Chang, Ming-Wei and Lee, Kenton and Toutanova, Kristina",
        title: "{BERT}: pre-training of deep bidirectional transformers for language understanding",
        venue: "Proceedings of the 2019 Conference of the North American Chapter of the Association for Computational \
                Linguistics: Human Language Technologies",
        short_venue: "NAACL-HLT",
        pages: "4171--4186",
        year: 2019,
        doi: "10.18653/v1/N19-1423",
        ..WORK
    },
    Work {
        named: "Dosovitskiy et al. 2021",
        key: "dosovitskiy2021image",
        kind: PAPER,
        authors: "Dosovitskiy, Alexey and Beyer, Lucas and Kolesnikov, Alexander and Weissenborn, Dirk and Zhai, Xiaohua \
                  and Unterthiner, Thomas and Dehghani, Mostafa and Minderer, Matthias and Heigold, Georg and \
                  Gelly, Sylvain and Uszkoreit, Jakob and Houlsby, Neil",
        title: "An image is worth 16x16 words: transformers for image recognition at scale",
        venue: "International Conference on Learning Representations",
        short_venue: "ICLR",
        year: 2021,
        arxiv: "2010.11929",
        ..WORK
    },
    Work {
        named: "Dou et al. 2022",
        key: "dou2022empirical",
        kind: PAPER,
        authors: "Dou, Zi-Yi and Xu, Yichong and Gan, Zhe and Wang, Jianfeng and Wang, Shuohang and Wang, Lijuan and \
                  Zhu, Chenguang and Zhang, Pengchuan and Yuan, Lu and Peng, Nanyun and Liu, Zicheng and Zeng, Michael",
        title: "An empirical study of training end-to-end vision-and-language transformers",
        venue: "Proceedings of the {IEEE/CVF} Conference on Computer Vision and Pattern Recognition",
        short_venue: "CVPR",
        pages: "18166--18176",
        year: 2022,
        arxiv: "2111.02387",
        ..WORK
    },
    Work {
        named: "Dupre la Tour et al. 2022",
        key: "duprelatour2022feature",
        authors: "{Dupré la Tour}, Tom and Eickenberg, Michael and Nunez-Elizalde, Anwar O. and Gallant, Jack L.",
        title: "Feature-space selection with banded ridge regression",
        venue: "NeuroImage",
        volume: "264",
        pages: "119728",
        year: 2022,
        doi: "10.1016/j.neuroimage.2022.119728",
        ..WORK
    },
    Work {
        named: "Esteban et al. 2019",
        key: "esteban2019fmriprep",
        authors: "Esteban, Oscar and Markiewicz, Christopher J. and Blair, Ross W. and Moodie, Craig A. and \
                  Isik, A. Ilkay and Erramuzpe, Asier and Kent, James D. and Goncalves, Mathias and DuPre, Elizabeth and \
                  Snyder, Madeleine and Oya, Hiroyuki and Ghosh, Satrajit S. and Wright, Jessey and Durnez, Joke and \
                  Poldrack, Russell A. and Gorgolewski, Krzysztof J.",
        title: "{fMRIPrep}: a robust preprocessing pipeline for functional {MRI}",
        venue: "Nature Methods",
        volume: "16",
        number: "1",
        pages: "111--116",
        year: 2019,
        doi: "10.1038/s41592-018-0235-4",
        ..WORK
    },
    Work {
        named: "Glasser et al. 2013",
        key: "glasser2013minimal",
        authors: "Glasser, Matthew F. and Sotiropoulos, Stamatios N. and Wilson, J. Anthony and Coalson, Timothy S. and \
                  Fischl, Bruce and Andersson, Jesper L. and Xu, Junqian and Jbabdi, Saad and Webster, Matthew and \
                  Polimeni, Jonathan R. and Van Essen, David C. and Jenkinson, Mark",
        title: "The minimal preprocessing pipelines for the {Human} {Connectome} {Project}",
        venue: "NeuroImage",
        volume: "80",
        pages: "105--124",
        year: 2013,
        doi: "10.1016/j.neuroimage.2013.04.127",
        ..WORK
    },
    Work {
        named: "Glover (1999)",
        key: "glover1999deconvolution",
        authors: "Glover, Gary H.",
        title: "Deconvolution of impulse response in event-related {BOLD} {fMRI}",
        venue: "NeuroImage",
        volume: "9",
        number: "4",
        pages: "416--429",
        year: 1999,
        doi: "10.1006/nimg.1998.0419",
        ..WORK
    },
    Work {
        named: "Gorgolewski et al. 2016",
        key: "gorgolewski2016brain",
        authors: "Gorgolewski, Krzysztof J. and others",
        title: "The brain imaging data structure, a format for organizing and describing outputs of neuroimaging experiments",
        venue: "Scientific Data",
        volume: "3",
        pages: "160044",
        year: 2016,
        doi: "10.1038/sdata.2016.44",
        ..WORK
    },
    Work {
        named: "Hubert and Schultz 1976",
        key: "hubert1976quadratic",
        authors: "Hubert, Lawrence and Schultz, James",
        title: "Quadratic assignment as a general data analysis strategy",
        venue: "British Journal of Mathematical and Statistical Psychology",
        volume: "29",
        number: "2",
        pages: "190--241",
        year: 1976,
        doi: "10.1111/j.2044-8317.1976.tb00714.x",
        ..WORK
    },
    Work {
        named: "Kornblith et al. 2019",
        key: "kornblith2019similarity",
        kind: PAPER,
        authors: "Kornblith, Simon and Norouzi, Mohammad and Lee, Honglak and Hinton, Geoffrey",
        title: "Similarity of neural network representations revisited",
        venue: "Proceedings of the 36th International Conference on Machine Learning, {PMLR}",
        short_venue: "ICML, PMLR",
        volume: "97",
        pages: "3519--3529",
        year: 2019,
        arxiv: "1905.00414",
        ..WORK
    },
    Work {
        named: "Langsrud 2005",
        key: "langsrud2005rotation",
        authors: "Langsrud, Øyvind",
        title: "Rotation tests",
        venue: "Statistics and Computing",
        volume: "15",
        number: "1",
        pages: "53--60",
        year: 2005,
        doi: "10.1007/s11222-005-4789-5",
        ..WORK
    },
    Work {
        named: "Liu et al. 2019",
        key: "liu2019roberta",
        kind: Venue::Preprint,
        authors: "Liu, Yinhan and Ott, Myle and Goyal, Naman and Du, Jingfei and Joshi, Mandar and Chen, Danqi and \
                  Levy, Omer and Lewis, Mike and Zettlemoyer, Luke and Stoyanov, Veselin",
        title: "{RoBERTa}: a robustly optimized {BERT} pretraining approach",
        year: 2019,
        arxiv: "1907.11692",
        ..WORK
    },
    Work {
        named: "Mairal et al. 2009",
        key: "mairal2009online",
        kind: PAPER,
        authors: "Mairal, Julien and Bach, Francis and Ponce, Jean and Sapiro, Guillermo",
        title: "Online dictionary learning for sparse coding",
        venue: "Proceedings of the 26th Annual International Conference on Machine Learning",
        short_venue: "ICML",
        pages: "689--696",
        year: 2009,
        doi: "10.1145/1553374.1553463",
        ..WORK
    },
    Work {
        named: "Radford et al. 2021",
        key: "radford2021learning",
        kind: PAPER,
        authors: "Radford, Alec and Kim, Jong Wook and Hallacy, Chris and Ramesh, Aditya and Goh, Gabriel and \
                  Agarwal, Sandhini and Sastry, Girish and Askell, Amanda and Mishkin, Pamela and Clark, Jack and \
                  Krueger, Gretchen and Sutskever, Ilya",
        title: "Learning transferable visual models from natural language supervision",
        venue: "Proceedings of the 38th International Conference on Machine Learning, {PMLR}",
        short_venue: "ICML, PMLR",
        volume: "139",
        pages: "8748--8763",
        year: 2021,
        arxiv: "2103.00020",
        ..WORK
    },
    Work {
        named: "Schaefer et al. 2018",
        key: "schaefer2018local",
        authors: "Schaefer, Alexander and Kong, Ru and Gordon, Evan M. and Laumann, Timothy O. and Zuo, Xi-Nian and \
                  Holmes, Avram J. and Eickhoff, Simon B. and Yeo, B. T. Thomas",
        title: "Local-global parcellation of the human cerebral cortex from intrinsic functional connectivity {MRI}",
        venue: "Cerebral Cortex",
        volume: "28",
        number: "9",
        pages: "3095--3114",
        year: 2018,
        doi: "10.1093/cercor/bhx179",
        ..WORK
    },
    Work {
        named: "Schoppe et al. 2016",
        key: "schoppe2016measuring",
        authors: "Schoppe, Oliver and Harper, Nicol S. and Willmore, Ben D. B. and King, Andrew J. and \
                  Schnupp, Jan W. H.",
        title: "Measuring the performance of neural models",
        venue: "Frontiers in Computational Neuroscience",
        volume: "10",
        pages: "10",
        year: 2016,
        doi: "10.3389/fncom.2016.00010",
        ..WORK
    },
    Work {
        named: "Tibshirani 1996",
        key: "tibshirani1996regression",
        authors: "Tibshirani, Robert",
        title: "Regression shrinkage and selection via the lasso",
        venue: "Journal of the Royal Statistical Society B",
        volume: "58",
        number: "1",
        pages: "267--288",
        year: 1996,
        doi: "10.1111/j.2517-6161.1996.tb02080.x",
        ..WORK
    },
    Work {
        named: "Van Essen et al. 2013",
        key: "vanessen2013wuminn",
        authors: "Van Essen, David C. and Smith, Stephen M. and Barch, Deanna M. and Behrens, Timothy E. J. and \
                  Yacoub, Essa and Ugurbil, Kamil and {WU-Minn HCP Consortium}",
        title: "The {WU-Minn} {Human} {Connectome} {Project}: an overview",
        venue: "NeuroImage",
        volume: "80",
        pages: "62--79",
        year: 2013,
        doi: "10.1016/j.neuroimage.2013.05.041",
        ..WORK
    },
    Work {
        named: "Winkler et al. 2015",
        key: "winkler2015multilevel",
        authors: "Winkler, Anderson M. and Webster, Matthew A. and Vidaurre, Diego and Nichols, Thomas E. and \
                  Smith, Stephen M.",
        title: "Multi-level block permutation",
        venue: "NeuroImage",
        volume: "123",
        pages: "253--268",
        year: 2015,
        doi: "10.1016/j.neuroimage.2015.05.092",
        ..WORK
    },
    Work {
        named: "Yeo et al. 2011",
        key: "yeo2011organization",
        authors: "Yeo, B. T. Thomas and Krienen, Fenna M. and Sepulcre, Jorge and Sabuncu, Mert R. and \
                  Lashkari, Danial and Hollinshead, Marisa and Roffman, Joshua L. and Smoller, Jordan W. and \
                  Zöllei, Lilla and Polimeni, Jonathan R. and Fischl, Bruce and Liu, Hesheng and Buckner, Randy L.",
        title: "The organization of the human cerebral cortex estimated by intrinsic functional connectivity",
        venue: "Journal of Neurophysiology",
        volume: "106",
        number: "3",
        pages: "1125--1165",
        year: 2011,
        doi: "10.1152/jn.00338.2011",
        ..WORK
    },
];
