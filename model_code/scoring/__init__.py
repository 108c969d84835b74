"""Every user's list of the day: a release packed into one model, the container that answers for all users, and the export."""
