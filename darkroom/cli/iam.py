"""The command that spells out who may do what on AWS, and prints the deployer's policy."""

from __future__ import annotations

import click

from darkroom.cli import console
from darkroom.cli.promotion import environment_option


@click.command("iam")
@environment_option
@click.option("--deployer", is_flag=True, help="Print the smallest policy of a deployer, filled in, as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print the statements as JSON.")
def iam_command(name: str, deployer: bool, as_json: bool) -> None:
    """Print every policy statement that the template gives, as it will be in this environment. Nothing is asked of AWS.

    docs/engines.md tells of each permission of the functions' roles what it is for, and what shows that it is needed.
    """
    from dataclasses import asdict

    from darkroom.operations.promotion.access import target_of
    from darkroom.operations.promotion.deployer import deployer_policy
    from darkroom.settings import load
    from darkroom.stack import Template, load_environment
    from darkroom.stack.artefacts import partition_of
    from darkroom.stack.policies import statements
    from darkroom.stack.rendering import rendered

    project = load().project
    environment = load_environment(project / "environments" / f"{name}.toml")
    target = target_of(environment)
    if deployer:
        console.print_json(deployer_policy(project, target))
        return
    template = Template.load(project / "template.yaml")
    code = dict.fromkeys(("CodeBucket", "CodeKey", "CodeHash", "Release"), "")
    values = template.complete({**environment.parameters, **code})
    pseudo = {
        "AWS::StackName": target.stack,
        "AWS::AccountId": target.account_id,
        "AWS::Region": target.region,
        "AWS::Partition": partition_of(target.region),
    }
    types = {key: it.type for key, it in template.resources.items()}
    found = statements(rendered(template, {**values, **pseudo}), types).values()
    if as_json:
        console.print_json([asdict(it) for it in found])
        return
    for it in found:
        console.stdout.print(str(it), markup=False, soft_wrap=True)
