//! The list of a suite's cases.

/// From one list of cases, makes the exported macro that writes a `#[test]` for each, and the
/// function that returns them as a table.
///
/// ```text
/// suite! { $
///     /// What the suite proves.
///     inventory_store_conformance, inventory::store_cases: InventoryHarness;
///     grants { grants_what_is_open, … }      // functions of the module `grants`
///     races { … }
/// }
/// ```
///
/// The dollar sign is passed as an argument, because a macro can not write one into the macro that
/// it makes. Cases stay private to the crate, so the compiler reports a case that is not listed.
macro_rules! suite {
    (
        $d:tt
        $(#[$doc:meta])*
        $name:ident, $module:ident::$table:ident: $bound:ident $(+ $more:ident)*;
        $($group:ident { $($case:ident),+ $(,)? })+
    ) => {
        $(#[$doc])*
        #[macro_export]
        macro_rules! $name {
            ($d module:ident, $d harness:ty) => {
                mod $d module {
                    #[allow(unused_imports)]
                    use super::*;

                    $($(
                        #[test]
                        fn $case() {
                            $crate::run::<$d harness>(
                                &$crate::$module::$table(),
                                stringify!($case),
                            );
                        }
                    )+)+
                }
            };
        }

        #[doc = concat!("The cases of `", stringify!($name), "!`, in its order.")]
        #[must_use]
        pub fn $table<H: $bound $(+ $more)*>() -> Vec<$crate::Case<H>> {
            vec![$($(
                $crate::Case::new(stringify!($case), |harness| {
                    ::std::boxed::Box::pin($group::$case(harness))
                })
            ),+),+]
        }
    };
}

/// As `suite!`, for cases whose calls are made by a process that is killed. A case is a module with
/// the functions `calls` and `check`.
macro_rules! crash_suite {
    (
        $d:tt
        $(#[$doc:meta])*
        $name:ident, $module:ident::$table:ident: $bound:ident $(+ $more:ident)*;
        $group:ident { $($case:ident),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[macro_export]
        macro_rules! $name {
            ($d module:ident, $d harness:ty) => {
                mod $d module {
                    #[allow(unused_imports)]
                    use super::*;

                    $(
                        #[test]
                        fn $case() {
                            $crate::run_crash::<$d harness>(
                                &$crate::$module::$table(),
                                ::std::concat!(
                                    ::std::module_path!(),
                                    "::",
                                    ::std::stringify!($case),
                                ),
                            );
                        }
                    )+
                }
            };
        }

        #[doc = concat!("The cases of `", stringify!($name), "!`, in its order.")]
        #[must_use]
        pub fn $table<H: $bound $(+ $more)*>() -> Vec<$crate::CrashCase<H>> {
            vec![$(
                $crate::CrashCase::new(
                    stringify!($case),
                    |harness, answers| {
                        ::std::boxed::Box::pin($group::$case::calls(harness, answers))
                    },
                    |harness, answers| {
                        ::std::boxed::Box::pin($group::$case::check(harness, answers))
                    },
                )
            ),+]
        }
    };
}
