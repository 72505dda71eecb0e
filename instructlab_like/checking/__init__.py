"""What `ilk check` says of leaves beyond what reading them says: upstream's verdict, and the lints of this project."""
