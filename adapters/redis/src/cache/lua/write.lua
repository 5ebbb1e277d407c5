return { store(), ARGV[1] }
