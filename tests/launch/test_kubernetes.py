"""launch/kubernetes: against the published schemas of Kubernetes and the fields of JobSet."""

import copy
import pathlib
import re

import pytest

from gair_jax.train import processes

yaml = pytest.importorskip('yaml')
kubernetes_validate = pytest.importorskip('kubernetes_validate')

FOLDER = pathlib.Path(__file__).resolve().parents[2] / 'launch' / 'kubernetes'
FILES = sorted(FOLDER.glob('*.yaml'))
VERSIONS = ['1.31', '1.33', kubernetes_validate.latest_version()]  # 1.31: podFailurePolicy is GA
CHIPS = {'nvidia.com/gpu', 'google.com/tpu'}
# jobset.x-k8s.io/v1alpha2 as its API reference documents it: field -> type, or fields below it.
FAILURE_RULE = {
    'name': str, 'action': {'FailJobSet', 'RestartJobSet', 'RestartJobSetAndIgnoreMaxRestarts'},
    'onJobFailureReasons': [
        {
            'BackoffLimitExceeded', 'DeadlineExceeded', 'FailedIndexes',
            'MaxFailedIndexesExceeded', 'PodFailurePolicy',
        }
    ],
    'targetReplicatedJobs': [str],
}  # fmt: skip
SPEC = {
    'replicatedJobs': [{'name': str, 'replicas': int, 'template': dict}],
    'network': {
        'enableDNSHostnames': bool, 'subdomain': str, 'publishNotReadyAddresses': bool,
    },
    'coordinator': {'replicatedJob': str, 'jobIndex': int, 'podIndex': int},
    'failurePolicy': {
        'maxRestarts': int, 'restartStrategy': {'Recreate', 'BlockingRecreate'},
        'rules': [FAILURE_RULE],
    },
    'successPolicy': {'operator': {'All', 'Any'}, 'targetReplicatedJobs': [str]},
    'suspend': bool,
    'ttlSecondsAfterFinished': int,
}  # fmt: skip


def faults(value, form, where='spec'):
    """Where a value departs from a form: unknown fields, wrong types, values not allowed."""
    if isinstance(form, list):
        items = value if isinstance(value, list) else [value]
        return [f for n, item in enumerate(items) for f in faults(item, form[0], f'{where}[{n}]')]
    if isinstance(form, set):
        return [] if value in form else [where]
    if isinstance(form, dict) and isinstance(value, dict):
        unknown = [f'{where}.{name}' for name in value.keys() - form.keys()]
        known = value.keys() & form.keys()
        return unknown + [f for n in known for f in faults(value[n], form[n], f'{where}.{n}')]
    return [] if type(value) is form else [where]


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def jobset(request):
    return yaml.safe_load(request.param.read_text())


def job_of(jobset):
    (replicated,) = jobset['spec']['replicatedJobs']
    assert replicated['replicas'] == 1
    return {
        'apiVersion': 'batch/v1',
        'kind': 'Job',
        'metadata': {'name': f'{jobset["metadata"]["name"]}-{replicated["name"]}-0'},
        **replicated['template'],
    }


def container_of(jobset):
    (container,) = job_of(jobset)['spec']['template']['spec']['containers']
    return container


def test_there_is_one_for_gpus_and_one_for_tpus():
    assert [path.name for path in FILES] == ['gpu-jobset.yaml', 'tpu-jobset.yaml']


def test_the_envelope_is_a_jobset(jobset):
    assert jobset['apiVersion'] == 'jobset.x-k8s.io/v1alpha2'
    assert jobset['kind'] == 'JobSet'
    assert jobset.keys() == {'apiVersion', 'kind', 'metadata', 'spec'}
    assert faults(jobset['spec'], SPEC) == []


@pytest.mark.parametrize(
    ('section', 'field', 'value'),
    [
        ('failurePolicy', 'maxRestart', 3),
        ('failurePolicy', 'restartStrategy', 'Restart'),
        ('network', 'enableDNSHostnames', 'true'),
    ],
)
def test_faults_in_the_envelope_are_seen(jobset, section, field, value):
    jobset['spec'][section][field] = value
    assert faults(jobset['spec'], SPEC) == [f'spec.{section}.{field}']


@pytest.mark.parametrize('version', VERSIONS)
def test_the_job_fits_the_published_schema(jobset, version):
    assert kubernetes_validate.validate(job_of(jobset), version, strict=True) in version


def test_faults_in_the_job_are_seen(jobset):
    job = copy.deepcopy(job_of(jobset))
    job['spec']['podFailurePolicy']['rules'][0]['onExitCodes']['operators'] = 'In'
    with pytest.raises(kubernetes_validate.ValidationError, match='operators'):
        kubernetes_validate.validate(job, VERSIONS[0], strict=True)


def test_a_refusal_fails_the_set_and_anything_else_starts_it_again(jobset):
    spec = job_of(jobset)['spec']
    (rule,) = spec['podFailurePolicy']['rules']
    assert rule['action'] == 'FailJob'
    assert rule['onExitCodes']['operator'] == 'In'
    assert rule['onExitCodes']['values'] == [2, 3]
    assert rule['onExitCodes']['containerName'] == container_of(jobset)['name']
    # JobSet's default, OnFailure, may not go with a podFailurePolicy.
    assert spec['template']['spec']['restartPolicy'] == 'Never'
    assert spec['backoffLimit'] == 0
    policy = jobset['spec']['failurePolicy']
    assert policy['rules'][0]['action'] == 'FailJobSet'
    assert policy['rules'][0]['onJobFailureReasons'] == ['PodFailurePolicy']
    assert policy['maxRestarts'] > 0


def test_every_process_finds_its_place(jobset):
    """The three variables, as the cluster would fill them in for the second pod."""
    spec = job_of(jobset)['spec']
    assert spec['completionMode'] == 'Indexed'
    assert spec['completions'] == spec['parallelism']
    coordinator = jobset['spec']['coordinator']
    assert coordinator['replicatedJob'] == jobset['spec']['replicatedJobs'][0]['name']
    assert coordinator['jobIndex'] == coordinator['podIndex'] == 0
    annotations = {
        'jobset.sigs.k8s.io/coordinator': 'gair-workers-0-0.gair',
        'batch.kubernetes.io/job-completion-index': '1',
    }
    environ = {}
    for entry in container_of(jobset)['env']:
        if 'value' in entry:
            value = re.sub(r'\$\((\w+)\)', lambda m: environ[m[1]], entry['value'])
        else:
            path = entry['valueFrom']['fieldRef']['fieldPath']
            value = annotations[re.fullmatch(r"metadata\.annotations\['(.+)'\]", path)[1]]
        environ[entry['name']] = value
    launch = processes.found('', 0, -1, False, environ)
    assert launch == processes.Launch('gair-workers-0-0.gair:8476', spec['completions'], 1)
    assert container_of(jobset)['ports'] == [{'containerPort': 8476}]


def test_the_container_is_given_accelerators_and_a_shared_folder(jobset):
    container = container_of(jobset)
    assert len(CHIPS & container['resources']['limits'].keys()) == 1
    mounts = {mount['name']: mount['mountPath'] for mount in container['volumeMounts']}
    volumes = job_of(jobset)['spec']['template']['spec']['volumes']
    assert mounts.keys() == {volume['name'] for volume in volumes}
    assert container['args'][0] == 'train'
    workdir = next(a for a in container['args'] if a.startswith('--workdir='))
    assert workdir.removeprefix('--workdir=').startswith(mounts['shared'])


def test_the_hosts_of_the_slice_hold_its_chips():
    jobset = yaml.safe_load((FOLDER / 'tpu-jobset.yaml').read_text())
    spec = job_of(jobset)['spec']
    selector = spec['template']['spec']['nodeSelector']
    x, y = map(int, selector['cloud.google.com/gke-tpu-topology'].split('x'))
    chips = container_of(jobset)['resources']['limits']['google.com/tpu']
    assert spec['completions'] * chips == x * y
