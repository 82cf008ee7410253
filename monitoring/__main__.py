"""Write the dashboard's JSON, which is committed.

python -m monitoring > ansible/roles/monitoring/files/dashboards/edgenode.json
"""

import sys

from monitoring.dashboard import dashboard_json

if __name__ == "__main__":
    sys.stdout.write(dashboard_json())
