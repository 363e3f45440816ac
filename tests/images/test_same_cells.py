"""Which cells of overlapping photographs are one."""

from wbc.images.boxes import Box
from wbc.images.same_cells import Outlined, Overlap, Which, same_cells


def whole(x, y, side=40):
    return Outlined(Box(x, y, x + side, y + side), False)


def cut(x, y, width=20, height=40):
    return Outlined(Box(x, y, x + width, y + height), True)


def test_the_whole_one_is_kept_rather_than_the_one_at_the_border():
    cells = [[cut(180, 50), whole(20, 20)], [whole(80, 52)]]
    assert same_cells(cells, [Overlap(0, 1, 100, 0)]) == {Which(0, 0): Which(1, 0)}


def test_of_two_whole_ones_the_first_of_the_larger_is_kept():
    cells = [[whole(100, 50)], [whole(0, 50, 44)], [whole(0, 50, 44)]]
    overlaps = [Overlap(0, 1, 100, 0), Overlap(1, 2, 0, 0)]
    assert same_cells(cells, overlaps) == {Which(0, 0): Which(1, 0), Which(2, 0): Which(1, 0)}


def test_neighbours_that_touch_stay_two():
    cells = [[whole(100, 50), whole(125, 50)], [whole(3, 50), whole(28, 50)]]
    assert same_cells(cells, [Overlap(0, 1, 100, 0)]) == {
        Which(1, 0): Which(0, 0),
        Which(1, 1): Which(0, 1),
    }


def test_two_that_were_taken_for_one_in_the_other_photograph_stay_two():
    cells = [[whole(100, 50), whole(145, 50)], [Outlined(Box(0, 50, 85, 90), False)]]
    same = same_cells(cells, [Overlap(0, 1, 100, 0)])
    assert list(same) == [Which(0, 0)]
    assert same[Which(0, 0)] == Which(1, 0)


def test_two_pieces_at_the_border_are_of_the_whole_cell():
    cells = [[cut(100, 50, 20, 18), cut(100, 74, 20, 16)], [whole(0, 50)]]
    same = same_cells(cells, [Overlap(0, 1, 100, 0)])
    assert same == {Which(0, 0): Which(1, 0), Which(0, 1): Which(1, 0)}


def test_photographs_that_do_not_overlap_have_nothing_in_common():
    assert same_cells([[whole(0, 0)], [whole(0, 0)]], []) == {}
