"""The people of organizations: who they are, what their role lets them do, and where they are signed in (directory)."""
