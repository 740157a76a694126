"""Making studies and opening them: where studies and the files that keep them meet."""

from optdriver.studies.create import Client, client, create_study
from optdriver.studies.keeping import create_kept, import_study, load_study

__all__ = ["Client", "client", "create_kept", "create_study", "import_study", "load_study"]
