//! The scripts of a cache, each of one bucket.

use std::sync::LazyLock;

use crate::error::Effect;
use crate::script::Script;

macro_rules! script {
    ($name:ident, $operation:literal, $effect:expr, $($file:literal),+) => {
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new($operation, $effect, concat!($(include_str!($file)),+))
        });
    };
}

script!(
    READ,
    "read availability",
    Effect::None,
    "../now.lua",
    "lua/read.lua"
);
script!(
    WRITE,
    "write availability",
    Effect::Write,
    "lua/store.lua",
    "lua/write.lua"
);
script!(
    APPLY,
    "apply stock events",
    Effect::Write,
    "lua/store.lua",
    "lua/apply.lua"
);
script!(
    ABSENT,
    "write absences",
    Effect::Write,
    "../now.lua",
    "lua/absent.lua"
);
script!(BEGIN, "begin a fill", Effect::Write, "lua/begin.lua");
script!(
    FILL,
    "fill availability",
    Effect::Write,
    "lua/store.lua",
    "lua/fill.lua"
);
script!(END, "end a fill", Effect::Write, "lua/end.lua");
