"""Custom variables: values that an organization or a team names once, and its scenarios read."""
