"""The bound on the share of faults that lose something, and what counts as lost."""

import faults_samples
import pytest
from scipy import stats

from harness.results.faults import load_faults, most_share, save_faults


@pytest.mark.parametrize(("lost", "of"), [(0, 1), (0, 300), (1, 300), (7, 40)])
def test_at_the_bound_so_few_losses_have_a_chance_of_five_percent(lost, of):
    assert stats.binom.cdf(lost, of, most_share(lost, of)) == pytest.approx(0.05)


def test_none_of_three_hundred_is_below_one_percent_and_of_nothing_nothing_is_known():
    assert most_share(0, 300) < 0.01 < most_share(0, 298)
    assert most_share(0, 0) == most_share(5, 5) == 1.0


def test_two_guests_none_or_wrong_memory_is_a_loss_where_the_fault_took_place():
    cell = faults_samples.cell
    lost = [cell(runs="both"), cell(runs="neither", memory=None), cell(memory=False)]
    kept = [cell(), cell(runs="destination"), cell(wrong=("left over: a file",)), cell(runs="both", applied=False)]
    assert [each.lost for each in (*lost, *kept)] == [True] * 3 + [False] * 4


def test_a_matrix_survives_its_file(tmp_path):
    matrix = faults_samples.matrix()
    save_faults(matrix, tmp_path / "faults.json")
    assert load_faults(tmp_path) == matrix
