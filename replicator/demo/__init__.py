"""A day of a small shop's gateway, played through etcd. What it writes to, it is handed."""
