"""What Chalice makes of `app.py`: functions, schedules, and the definition of the API."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any, Final

from botocore.session import get_session
from chalice.awsclient import TypedAWSClient
from chalice.config import Config
from chalice.deploy.appgraph import ApplicationGraphBuilder, DependencyBuilder
from chalice.deploy.deployer import BaseDeployStep, BuildStage, InjectDefaults, SwaggerBuilder
from chalice.deploy.swagger import CFNSwaggerGenerator
from chalice.package import PackageOptions, ResourceBuilder, SAMTemplateGenerator

from infra.bundle import ROOT


if TYPE_CHECKING:
    from chalice.deploy.models import DeploymentPackage

    from infra.stages import Stage

CODE: Final = "./deployment.zip"


class _OurZip(BaseDeployStep):
    """Name the zip that this project builds itself, so that Chalice builds none."""

    def handle_deploymentpackage(self, config: Config, resource: DeploymentPackage) -> None:  # noqa: ARG002 - as called
        resource.filename = CODE


def chalice_template(stage: Stage) -> dict[str, Any]:
    """Return the SAM template of `app.py` as Chalice writes it, for *stage*; nothing is downloaded or built."""
    config = Config(
        chalice_stage=stage.name,
        user_provided_params={"chalice_app": importlib.import_module("app").app, "project_dir": str(ROOT)},
        config_from_disk=json.loads((ROOT / ".chalice" / "config.json").read_text()),
    )
    session = get_session()
    session.set_config_variable("region", stage.region)
    steps = [InjectDefaults(), _OurZip(), SwaggerBuilder(CFNSwaggerGenerator())]
    builder = ResourceBuilder(ApplicationGraphBuilder(), DependencyBuilder(), BuildStage(steps))
    resources = builder.construct_resources(config, stage.name)
    template: dict[str, Any] = SAMTemplateGenerator(config, PackageOptions(TypedAWSClient(session))).generate(resources)
    return template
