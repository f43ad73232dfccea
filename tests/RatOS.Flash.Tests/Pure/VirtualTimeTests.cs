using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Virtual time: its order, its clocks and its limits.</summary>
public sealed class VirtualTimeTests
{
    [Fact]
    public void Live_time_waits_for_other_threads_and_runs_their_actions_now()
    {
        var time = new VirtualTime { IsLive = true, Pace = 100 };
        var (came, timer) = (TimeSpan.Zero, TimeSpan.Zero);
        time.Run(async () =>
        {
            var told = new TaskCompletionSource();
            new Thread(() =>
            {
                Thread.Sleep(50);
                time.Post(() =>
                {
                    came = time.Now;
                    told.SetResult();
                });
            }).Start();
            await told.Task;   // no timer is left, and nothing throws
            await Task.Delay(TimeSpan.FromSeconds(1), time);
            timer = time.Now;
            return true;
        });
        Assert.True(came >= TimeSpan.FromSeconds(4.5), $"{came}");   // 50 ms at a pace of 100, less a clock's grain
        Assert.True(timer >= came + TimeSpan.FromSeconds(1), $"{came}, {timer}");
    }

    [Fact]
    public void A_timer_that_was_cancelled_keeps_nothing_until_its_time()
    {
        var time = new VirtualTime();
        var state = Cancelled(time);
        GC.Collect();
        Assert.False(state.IsAlive);
        GC.KeepAlive(time);

        static WeakReference Cancelled(VirtualTime time)
        {
            var state = new object();
            VirtualTime.Unschedule(time.Schedule(TimeSpan.FromHours(1), static _ => { }, state));
            return new(state);
        }
    }

    [Fact]
    public void Half_an_hour_is_over_at_once_and_the_clocks_agree() => VirtualTime.Run(async time =>
    {
        var (stamp, calendar) = (time.GetTimestamp(), time.GetUtcNow());
        await Task.Delay(TimeSpan.FromMinutes(30), time);
        Assert.Equal(TimeSpan.FromMinutes(30), time.Now);
        Assert.Equal(time.Now, time.GetElapsedTime(stamp));
        Assert.Equal(time.Now, time.GetUtcNow() - calendar);
    });

    [Fact]
    public void Callbacks_run_in_the_order_of_their_moments_and_those_of_one_moment_in_the_order_of_scheduling() =>
        VirtualTime.Run(async time =>
    {
        var order = "";
        time.Schedule(TimeSpan.FromSeconds(2), () => order += "c");
        time.Schedule(TimeSpan.FromSeconds(1), () => order += "a");
        time.Schedule(TimeSpan.FromSeconds(1), () => order += "b");
        time.Schedule(TimeSpan.FromSeconds(-5), () => order += "0");
        await Task.Delay(TimeSpan.FromSeconds(2), time);
        Assert.Equal("0abc", order);
    });

    [Fact]
    public void Ready_callbacks_run_before_any_timer() => VirtualTime.Run(async time =>
    {
        var order = "";
        time.Schedule(TimeSpan.Zero, () => order += "t");
        await Task.Yield();
        order += "y";
        await Task.Yield();
        order += "y";
        await Task.Delay(TimeSpan.FromMilliseconds(1), time);
        Assert.Equal("yyt", order);
    });

    [Fact]
    public void An_unscheduled_callback_does_not_run_and_moves_no_time()
    {
        var fault = Assert.Throws<InvalidOperationException>(() => VirtualTime.Run(async time =>
        {
            VirtualTime.Unschedule(time.Schedule(TimeSpan.FromSeconds(5), () => Assert.Fail("it came")));
            await new TaskCompletionSource().Task;
        }));
        Assert.Contains("00:00:00", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_timer_repeats_until_it_is_stopped() => VirtualTime.Run(async time =>
    {
        var at = new List<double>();
        var timer = time.CreateTimer(_ => at.Add(time.Now.TotalSeconds), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(3));
        await Task.Delay(TimeSpan.FromSeconds(8), time);
        timer.Dispose();
        await Task.Delay(TimeSpan.FromSeconds(8), time);
        Assert.Equal([1, 4, 7], at);
    });

    [Fact]
    public void Work_that_waits_without_a_timer_fails()
    {
        var fault = Assert.Throws<InvalidOperationException>(() => VirtualTime.Run(_ => new TaskCompletionSource().Task));
        Assert.Contains("everything waits, and no timer is left", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Work_without_end_is_stopped_at_the_limit()
    {
        var time = new VirtualTime { Limit = TimeSpan.FromMinutes(1) };
        var fault = Assert.Throws<InvalidOperationException>(() => time.Run<bool>(async () =>
        {
            while (true)
                await Task.Delay(TimeSpan.FromSeconds(7), time);
        }));
        Assert.Contains("00:01:00", fault.Message, StringComparison.Ordinal);
        Assert.InRange(time.Now, TimeSpan.FromSeconds(50), TimeSpan.FromMinutes(1));
    }

    [Fact]
    public void The_works_own_exception_is_thrown_unchanged()
    {
        var thrown = new FormatException("mine");
        Assert.Same(thrown, Assert.Throws<FormatException>(() => VirtualTime.Run(async time =>
        {
            await Task.Delay(TimeSpan.FromSeconds(1), time);
            throw thrown;
        })));
    }

    [Fact]
    public void Everything_runs_on_one_thread() => VirtualTime.Run(async time =>
    {
        var thread = Environment.CurrentManagedThreadId;
        await Task.WhenAll(Enumerable.Range(0, 20).Select(async number =>
        {
            for (var i = 0; i < 5; i++)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(number), time);
                Assert.Equal(thread, Environment.CurrentManagedThreadId);
            }
        }));
    });

    [Fact]
    public void Paced_time_really_waits()
    {
        var time = new VirtualTime { Pace = 10 };
        var begin = TimeProvider.System.GetTimestamp();
        time.Run(async () =>
        {
            await Task.Delay(TimeSpan.FromSeconds(1), time);
            return true;
        });
        Assert.InRange(TimeProvider.System.GetElapsedTime(begin).TotalMilliseconds, 80, 5000);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_post_from_another_thread_ends_a_wait_at_once(bool isLive)
    {
        var time = new VirtualTime { Pace = 1, IsLive = isLive };
        var begin = TimeProvider.System.GetTimestamp();
        time.Run(async () =>
        {
            using var cancel = new CancellationTokenSource();
            new Thread(() => time.Post(cancel.Cancel)).Start();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.Delay(TimeSpan.FromMinutes(10), time, cancel.Token));
            return true;
        });
        Assert.InRange(TimeProvider.System.GetElapsedTime(begin).TotalSeconds, 0, 10);
    }

    [Fact]
    public void A_pause_can_be_reused_and_ended_early() => VirtualTime.Run(async time =>
    {
        var pause = new Pause(time);
        for (var i = 0; i < 3; i++)
            await pause.WaitAsync(TimeSpan.FromSeconds(1));
        Assert.Equal(TimeSpan.FromSeconds(3), time.Now);

        time.Schedule(TimeSpan.FromSeconds(0.5), pause.Wake);
        await pause.WaitAsync(TimeSpan.FromSeconds(9));
        Assert.Equal(TimeSpan.FromSeconds(3.5), time.Now);

        // The limit of a wait that was ended does not end the next one.
        await pause.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(TimeSpan.FromSeconds(23.5), time.Now);
    });

    [Fact]
    public void Two_cannot_wait_on_one_pause() => VirtualTime.Run(async time =>
    {
        var pause = new Pause(time);
        var first = pause.WaitAsync(TimeSpan.FromSeconds(1));
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await pause.WaitAsync(TimeSpan.FromSeconds(1)));
        await first;
    });

    [Fact]
    public void A_live_clock_follows_the_real_one_at_its_pace_and_timers_run_when_they_are_due()
    {
        var begin = TimeProvider.System.GetTimestamp();
        var time = new VirtualTime { IsLive = true, Pace = 20 };
        time.Run(async () =>
        {
            var from = time.Now;
            await Task.Delay(TimeSpan.FromSeconds(4), time);
            Assert.True(time.Now - from >= TimeSpan.FromSeconds(4));
            return true;
        });
        var real = TimeProvider.System.GetElapsedTime(begin);
        Assert.InRange(real.TotalMilliseconds, 195, 20_000);
        Assert.InRange(time.Now / 20, real - TimeSpan.FromSeconds(2), real + TimeSpan.FromMilliseconds(1));   // no more than that ahead
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_clock_that_yields_to_load_does_not_count_time_without_a_processor(bool yields)
    {
        var time = new VirtualTime { IsLive = true, YieldsToLoad = yields };
        time.Run(async () =>
        {
            var from = time.Now;
            Thread.Sleep(300);   // other programs have the processors
            await Task.Delay(TimeSpan.FromMilliseconds(20), time);
            await Task.Delay(TimeSpan.FromMilliseconds(20), time);
            if (yields)
                Assert.InRange((time.Now - from).TotalMilliseconds, 40, 60);
            else
                Assert.True(time.Now - from >= TimeSpan.FromMilliseconds(320), $"{time.Now - from}");
            return true;
        });
    }

    [Fact]
    public void Live_time_waits_for_other_threads_and_has_no_limit()
    {
        var time = new VirtualTime { IsLive = true, Pace = 100, Limit = TimeSpan.FromSeconds(1) };
        var (thread, answer) =
            (Environment.CurrentManagedThreadId, new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously));
        var foreign = new Thread(() =>
        {
            Thread.Sleep(50);
            answer.SetResult(42);
        });
        Assert.Equal(42, time.Run(async () =>
        {
            foreign.Start();
            var result = await answer.Task;
            Assert.Equal(thread, Environment.CurrentManagedThreadId);   // the continuation returned to its thread
            await Task.Delay(TimeSpan.FromSeconds(2), time);            // past the limit
            return result;
        }));
        foreign.Join();
    }

    [Fact]
    public void Live_time_stands_still_within_a_callback_so_that_the_order_of_scheduling_is_kept()
    {
        var time = new VirtualTime { IsLive = true };
        var order = "";
        time.Run(async () =>
        {
            var due = time.Now + TimeSpan.FromMilliseconds(60);
            var now = time.Now;
            Thread.Sleep(20);   // preempted between two lines
            Assert.Equal(now, time.Now);
            time.Schedule(due - now, () => order += "a");
            Thread.Sleep(20);
            time.Schedule(due - time.Now, () => order += "b");
            time.Schedule(TimeSpan.FromMilliseconds(1), () => order += "0");
            await Task.Delay(TimeSpan.FromMilliseconds(100), time);
            Assert.True(time.Now - now >= TimeSpan.FromMilliseconds(100));
            return true;
        });
        Assert.Equal("0ab", order);
    }
}
