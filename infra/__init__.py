"""The deployment: what of it Chalice cannot say, the package, and the commands that put it on AWS and take it off."""
