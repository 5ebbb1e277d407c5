SELECT max(epoch) FROM {schema}.epochs
