"""Runs cfn-lint on CloudFormation templates, each for its own region, at the end of its name.

    python scripts/lint/regions.py cdk.out/*.template.json
"""

import itertools
import re
import sys

from cfnlint.config import ConfigMixIn
from cfnlint.runner import Runner


def region(path):
    return re.search(r"-([a-z]+-[a-z]+-[0-9])\.template\.json$", path).group(1)


found = 0
for name, paths in itertools.groupby(sorted(sys.argv[1:], key=region), key=region):
    # One process for all regions: starting cfn-lint takes longer than most templates.
    config = ConfigMixIn(["--config-file", "scripts/lint/cfnlint.yaml", "--regions", name, "--template", *paths])
    for match in Runner(config).run():
        print(f"{match.filename}:{match.linenumber}: {match.rule.id} {match.message}")
        found += 1
sys.exit(found > 0)
